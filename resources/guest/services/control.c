/*
 * UDP 7003: commands, one per datagram, each answered with "ok <boot-id>\n" or "error <why>\n".
 *
 *   report-to                 report to the sender every 50 ms from now on (up to 8 senders are kept)
 *   report-end                stop reporting to the sender
 *   stream-to <count> [<spacing us> [<bytes>]]   numbered datagrams to the sender, 1000 us apart, 64 bytes
 *   dirty <KB/s> [<MiB>]      fill a working set (16 MiB) and keep rewriting random pages of it; 0 ends it
 *   disk <KB/s>               keep writing random data to the disk; 0 ends it
 *   fill <MiB>                keep so much memory resident, with random content; 0 gives it back
 *   picture <frames/s>        keep a picture moving on the display; 0 ends it
 *   filled                    ok when what fill and dirty have asked for is filled
 *
 * A report: "report <boot-id> <counter> <records safe on disk> <monotonic ms> <realtime ms>\n"
 * Of a stream: "stream <boot-id> <n, from 1> <monotonic us>\n", filled up with dots.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "services.h"

#define MAX_CORRESPONDENTS 8
#define MAX_RATE_KB 4000000u

static struct waiter control;
static struct correspondent correspondents[MAX_CORRESPONDENTS];
static int correspondent_count;
static uint64_t reports;
static pid_t dirtier, disk_writer, filler, painter;

ssize_t receive_from(int fd, void *buffer, size_t size, struct correspondent *from) {
  struct iovec data = {buffer, size};
  struct msghdr message = {&from->address,  sizeof from->address,  &data, 1,
                           from->control, sizeof from->control, 0};
  ssize_t length = recvmsg(fd, &message, 0);
  from->control_length = length < 0 ? 0 : message.msg_controllen;
  return length;
}

ssize_t send_to(int fd, const void *bytes, size_t length, struct correspondent *to) {
  struct iovec data = {(void *)bytes, length};
  struct msghdr message = {&to->address, sizeof to->address, &data, 1, to->control,
                           to->control_length, 0};
  return sendmsg(fd, &message, 0);
}

static int find(const struct correspondent *wanted) {
  for (int i = 0; i < correspondent_count; i++)
    if (correspondents[i].address.sin6_port == wanted->address.sin6_port &&
        !memcmp(&correspondents[i].address.sin6_addr, &wanted->address.sin6_addr, 16))
      return i;
  return -1;
}

static void forget(int index) {
  correspondent_count--;
  memmove(correspondents + index, correspondents + index + 1,
          (size_t)(correspondent_count - index) * sizeof *correspondents);
}

static void remember(const struct correspondent *from) {
  int index = find(from);
  if (index >= 0) forget(index);
  else if (correspondent_count == MAX_CORRESPONDENTS) forget(0);
  correspondents[correspondent_count++] = *from;
}

static void restart(pid_t *child, void (*work)(const void *), const void *order, int wanted) {
  if (*child > 0) kill(*child, SIGKILL);
  *child = wanted ? run_child(work, order) : 0;
}

static int is_filled(pid_t child, atomic_int *filled) {
  return child <= 0 || atomic_load(filled) == child;
}

void control_child_ended(pid_t pid) {
  if (dirtier == pid) dirtier = 0;
  if (disk_writer == pid) disk_writer = 0;
  if (filler == pid) filler = 0;
  if (painter == pid) painter = 0;
}

static const char *carry_out(const char *command, const struct correspondent *from) {
  struct stream_order stream = {control.fd, *from, 0, 1000, 64};
  struct dirty_order dirty = {0, 16};
  struct disk_order disk = {0};
  struct fill_order fill = {0};
  struct picture_order picture = {0};
  if (!strncmp(command, "report-to", 9)) {
    remember(from);
  } else if (!strncmp(command, "report-end", 10)) {
    int index = find(from);
    if (index >= 0) forget(index);
  } else if (sscanf(command, "stream-to %u %u %u", &stream.count, &stream.spacing_us, &stream.bytes) > 0) {
    if (stream.bytes < 64 || stream.bytes > 1400) return "bytes must be 64 to 1400";
    if (run_child(load_stream, &stream) < 0) return "no process to be had";
  } else if (sscanf(command, "dirty %u %u", &dirty.kb_per_second, &dirty.working_set_mib) > 0) {
    if (dirty.kb_per_second > MAX_RATE_KB || dirty.working_set_mib < 1 || dirty.working_set_mib > 65536)
      return "rate or working set out of range";
    restart(&dirtier, load_dirty, &dirty, dirty.kb_per_second > 0);
  } else if (sscanf(command, "disk %u", &disk.kb_per_second) > 0) {
    if (disk.kb_per_second > MAX_RATE_KB) return "rate out of range";
    restart(&disk_writer, load_disk, &disk, disk.kb_per_second > 0);
  } else if (sscanf(command, "fill %u", &fill.mib) > 0) {
    if (fill.mib > 65536) return "size out of range";
    restart(&filler, load_fill, &fill, fill.mib > 0);
  } else if (sscanf(command, "picture %u", &picture.frames_per_second) > 0) {
    if (picture.frames_per_second > 100) return "at most 100 frames a second";
    restart(&painter, picture_show, &picture, picture.frames_per_second > 0);
  } else if (!strncmp(command, "filled", 6)) {
    if (!is_filled(dirtier, &shared->dirtier_filled) || !is_filled(filler, &shared->filler_filled))
      return "not yet";
  } else {
    return "unknown command";
  }
  return NULL;
}

static void command_ready(struct waiter *self, uint32_t events) {
  char command[256], answer[64];
  struct correspondent from;
  ssize_t length;
  (void)events;
  while ((length = receive_from(self->fd, command, sizeof command - 1, &from)) >= 0) {
    command[length] = 0;
    const char *problem = carry_out(command, &from);
    int size = problem ? snprintf(answer, sizeof answer, "error %s\n", problem)
                       : snprintf(answer, sizeof answer, "ok %s\n", boot_id);
    send_to(self->fd, answer, (size_t)size, &from);
  }
}

void control_tick(void) {
  char report[160];
  int size = snprintf(report, sizeof report, "report %s %llu %u %llu %llu\n", boot_id,
                      (unsigned long long)++reports, atomic_load(&shared->records),
                      (unsigned long long)(clock_us(CLOCK_MONOTONIC) / 1000),
                      (unsigned long long)(clock_us(CLOCK_REALTIME) / 1000));
  for (int i = 0; i < correspondent_count; i++)
    send_to(control.fd, report, (size_t)size, &correspondents[i]);
}

void control_open(void) {
  control.fd = bind_udp(7003);
  control.ready = command_ready;
  wait_for(&control, EPOLLIN);
}
