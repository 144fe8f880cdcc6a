/*
 * /data/records: one record of 128 bytes a second, each safe on the disk (fsync) before it is counted.
 *
 *   <number, 10 digits, from 1> <boot id, 36> <monotonic ms, 13 digits> <filler> <CRC-32, 8 hex>\n
 *
 * The CRC (IEEE 802.3, as in zlib) covers the 118 bytes before its space. Numbers go on over boots.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "services.h"

#define PATH "/data/records"
#define COVERED 118

static struct waiter listener;

static uint32_t crc32(const char *data, size_t length) {
  uint32_t crc = ~0u;
  for (size_t i = 0; i < length; i++) {
    crc ^= (unsigned char)data[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return ~crc;
}

static void format(char record[RECORD_BYTES + 1], unsigned number) {
  int length = snprintf(record, RECORD_BYTES + 1, "%010u %s %013llu ", number, boot_id,
                        (unsigned long long)(clock_us(CLOCK_MONOTONIC) / 1000));
  memset(record + length, '.', (size_t)(COVERED - length));
  snprintf(record + COVERED, RECORD_BYTES + 1 - COVERED, " %08x\n", crc32(record, COVERED));
}

static void write_records(const void *argument) {
  char record[RECORD_BYTES + 1];
  struct stat status;
  struct timespec next;
  int fd = open(PATH, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  (void)argument;
  if (fd < 0 || fstat(fd, &status) < 0) fail(PATH);
  /* A power cut may leave part of a record behind; it was never counted and is written again. */
  unsigned records = (unsigned)(status.st_size / RECORD_BYTES);
  atomic_store(&shared->records, records);
  clock_gettime(CLOCK_MONOTONIC, &next);
  for (;;) {
    format(record, records + 1);
    if (pwrite(fd, record, RECORD_BYTES, (off_t)records * RECORD_BYTES) != RECORD_BYTES) fail(PATH);
    if (fsync(fd) < 0) fail(PATH);
    atomic_store(&shared->records, ++records);
    next.tv_sec++;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR)
      ;
  }
}

pid_t records_start_writer(void) {
  pid_t pid = run_child(write_records, NULL);
  if (pid < 0) fail("fork");
  return pid;
}

static void send_records(const void *argument) {
  int socket_fd = *(const int *)argument;
  off_t offset = 0, end = (off_t)atomic_load(&shared->records) * RECORD_BYTES;
  int fd = open(PATH, O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(PATH);
  while (offset < end) {
    ssize_t count = sendfile(socket_fd, fd, &offset, (size_t)(end - offset));
    if (count <= 0 && errno != EINTR) return;
  }
}

static void accept_reader(struct waiter *self, uint32_t events) {
  int fd = accept4(self->fd, NULL, NULL, SOCK_CLOEXEC);
  (void)events;
  if (fd < 0) return;
  run_child(send_records, &fd);
  close(fd);
}

void records_open(void) {
  listener.fd = listen_tcp(7002);
  listener.ready = accept_reader;
  wait_for(&listener, EPOLLIN);
}
