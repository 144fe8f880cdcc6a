/*
 * Services of the demo guest. One process serves the network with epoll; children of it do what may
 * block (fsync) or must keep a fine spacing (streams), so that none of it delays a reply.
 *
 *   TCP 7000  a numbered line to every client each 50 ms: "<boot-id> <n>\n", n from 1 without gaps;
 *             a line that the client sends comes back as "echo <line>\n"
 *   TCP 7002  the record file (see records.c) up to the last record that is safe on the disk, then the end
 *   UDP 7, 7001  echo
 *   UDP 7003  commands, one per datagram (see control.c)
 */
#ifndef SERVICES_H
#define SERVICES_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TICK_MS 50
#define BOOT_ID_LENGTH 36
#define RECORD_BYTES 128

/* What epoll's data points to; the first member of everything that waits for a descriptor. */
struct waiter {
  int fd;
  void (*ready)(struct waiter *self, uint32_t events);
};

/* Where a datagram came from and which of our addresses it was sent to, so that answers leave from it. */
struct correspondent {
  struct sockaddr_in6 address;
  unsigned char control[64];
  size_t control_length;
};

/* Shared by the children: how many records are safe on the disk; which children have filled their memory. */
struct shared {
  atomic_uint records;
  atomic_int dirtier_filled;
  atomic_int filler_filled;
};

extern char boot_id[BOOT_ID_LENGTH + 1];
extern struct shared *shared;

/* main.c */
void wait_for(struct waiter *waiter, uint32_t events);
void change_wait(struct waiter *waiter, uint32_t events);
int listen_tcp(int port);
int bind_udp(int port);
/* A child that dies with its parent; returns its pid, and never in the child. */
pid_t run_child(void (*work)(const void *argument), const void *argument);
uint64_t clock_us(int clock);
void fail(const char *what);

/* lines.c */
void lines_open(void);
void lines_tick(void);

/* records.c */
pid_t records_start_writer(void);
void records_open(void);

/* control.c */
ssize_t receive_from(int fd, void *buffer, size_t size, struct correspondent *from);
ssize_t send_to(int fd, const void *data, size_t length, struct correspondent *to);
void control_open(void);
void control_tick(void);
void control_child_ended(pid_t pid);

/* load.c */
struct stream_order {
  int fd;
  struct correspondent to;
  uint32_t count;
  uint32_t spacing_us;
  uint32_t bytes;
};
struct dirty_order {
  uint32_t kb_per_second;
  uint32_t working_set_mib;
};
struct disk_order {
  uint32_t kb_per_second;
};
struct fill_order {
  uint32_t mib;
};
void load_stream(const void *order);
void load_dirty(const void *order);
void load_disk(const void *order);
void load_fill(const void *order);

/* picture.c */
struct picture_order {
  uint32_t frames_per_second;
};
void picture_show(const void *order);

#endif
