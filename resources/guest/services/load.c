/* Work on demand (see control.c): datagram streams, memory that keeps changing, disk writes. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "services.h"

#define PAGE_BYTES 4096u
#define ROUND_MS 10
#define DISK_FILE_BYTES (64u << 20)

static uint64_t random_state = 0x9e3779b97f4a7c15u;

/* xorshift64* (Marsaglia 2003; Vigna 2016): incompressible, and cheap under emulation. */
static uint64_t next_random(void) {
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return random_state * 0x2545f4914f6cdd1du;
}

static void fill_page(uint64_t *page) {
  for (size_t i = 0; i < PAGE_BYTES / 8; i++) page[i] = next_random();
}

static void sleep_until(uint64_t at_us) {
  struct timespec at = {(time_t)(at_us / 1000000), (long)(at_us % 1000000) * 1000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
    ;
}

void load_stream(const void *argument) {
  struct stream_order order = *(const struct stream_order *)argument;
  char datagram[1400];
  uint64_t start = clock_us(CLOCK_MONOTONIC);
  memset(datagram, '.', sizeof datagram);
  for (uint32_t n = 1; n <= order.count; n++) {
    uint64_t now = clock_us(CLOCK_MONOTONIC);
    int length = snprintf(datagram, sizeof datagram, "stream %s %u %llu\n", boot_id, n,
                          (unsigned long long)now);
    datagram[length] = '.';
    uint32_t size = (uint32_t)length > order.bytes ? (uint32_t)length : order.bytes;
    while (send_to(order.fd, datagram, size, &order.to) < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
      struct pollfd writable = {order.fd, POLLOUT, 0};
      poll(&writable, 1, 100);
    }
    if (order.spacing_us > 0) sleep_until(start + (uint64_t)n * order.spacing_us);
  }
}

/* Calls `work` often enough to come to `kb_per_second` pages of 4 KiB; a pause is not made good. */
static void at_rate(uint32_t kb_per_second, void (*work)(uint64_t number)) {
  uint64_t number = 0, owed = 0, next = clock_us(CLOCK_MONOTONIC);
  for (;;) {
    owed += (uint64_t)kb_per_second * 1000 * ROUND_MS / 1000;
    for (; owed >= PAGE_BYTES; owed -= PAGE_BYTES) work(number++);
    uint64_t now = clock_us(CLOCK_MONOTONIC);
    next = next + ROUND_MS * 1000 > now ? next + ROUND_MS * 1000 : now;
    sleep_until(next);
  }
}

static uint64_t *working_set;
static uint64_t working_set_pages;
static int disk_fd;

static void dirty_page(uint64_t number) {
  (void)number;
  fill_page(working_set + next_random() % working_set_pages * (PAGE_BYTES / 8));
}

static void write_page(uint64_t number) {
  uint64_t page[PAGE_BYTES / 8];
  fill_page(page);
  off_t offset = (off_t)(number * PAGE_BYTES % DISK_FILE_BYTES);
  if (pwrite(disk_fd, page, PAGE_BYTES, offset) != PAGE_BYTES) fail("disk load");
  if (number % 256 == 255 && fdatasync(disk_fd) < 0) fail("disk load");
}

/* Memory with random content in every page, so that neither zero pages nor compression make it small. */
static uint64_t *filled_memory(uint32_t mib, atomic_int *filled) {
  size_t bytes = (size_t)mib << 20;
  uint64_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail("memory load");
  for (size_t at = 0; at < bytes; at += PAGE_BYTES) fill_page(memory + at / 8);
  atomic_store(filled, getpid());
  return memory;
}

void load_dirty(const void *argument) {
  const struct dirty_order *order = argument;
  working_set = filled_memory(order->working_set_mib, &shared->dirtier_filled);
  working_set_pages = ((size_t)order->working_set_mib << 20) / PAGE_BYTES;
  at_rate(order->kb_per_second, dirty_page);
}

/* Keeps so much memory resident. */
void load_fill(const void *argument) {
  const struct fill_order *order = argument;
  filled_memory(order->mib, &shared->filler_filled);
  for (;;) pause();
}

void load_disk(const void *argument) {
  const struct disk_order *order = argument;
  disk_fd = open("/data/load", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (disk_fd < 0) fail("disk load");
  at_rate(order->kb_per_second, write_page);
}
