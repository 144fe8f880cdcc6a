/* Start, sockets and the epoll loop of the demo guest's services; what they do is in services.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "services.h"

#define UDP_BUFFER_BYTES (8 << 20)

char boot_id[BOOT_ID_LENGTH + 1];
struct shared *shared;

static int epoll_fd;
static pid_t writer;

void fail(const char *what) {
  fprintf(stderr, "demo-services: %s: %s\n", what, strerror(errno));
  exit(1);
}

uint64_t clock_us(int clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void wait_for(struct waiter *waiter, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = waiter};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, waiter->fd, &event) < 0) fail("epoll_ctl");
}

void change_wait(struct waiter *waiter, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = waiter};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, waiter->fd, &event) < 0) fail("epoll_ctl");
}

/* Both families on one socket: IPv4 addresses appear as ::ffff:a.b.c.d (RFC 3493, 3.7). */
static int bound_socket(int type, int port) {
  int on = 1, off = 0;
  struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
  int fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&any, sizeof any) < 0) fail("bind");
  return fd;
}

int listen_tcp(int port) {
  int fd = bound_socket(SOCK_STREAM, port);
  if (listen(fd, 64) < 0) fail("listen");
  return fd;
}

/* Beyond the system's limit where root may; elsewhere, as in a container, up to it. */
static void set_buffer(int fd, int beyond, int within) {
  int bytes = UDP_BUFFER_BYTES;
  if (setsockopt(fd, SOL_SOCKET, beyond, &bytes, sizeof bytes) < 0)
    setsockopt(fd, SOL_SOCKET, within, &bytes, sizeof bytes);
}

/*
 * With room for some seconds of small datagrams in both directions: what comes in a burst after a pause of
 * the guest must not be lost here, where it would look like a loss of the network.
 */
int bind_udp(int port) {
  int fd = bound_socket(SOCK_DGRAM, port);
  set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
  set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
  return fd;
}

pid_t run_child(void (*work)(const void *argument), const void *argument) {
  pid_t pid = fork();
  if (pid < 0) return pid;
  if (pid > 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  close(epoll_fd);
  work(argument);
  _exit(0);
}

static void echo(struct waiter *self, uint32_t events) {
  static char buffer[65536];
  struct correspondent from;
  ssize_t length;
  (void)events;
  while ((length = receive_from(self->fd, buffer, sizeof buffer, &from)) >= 0)
    send_to(self->fd, buffer, (size_t)length, &from);
}

static void reap(void) {
  pid_t ended;
  int status;
  while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
    control_child_ended(ended);
    if (ended == writer) fprintf(stderr, "demo-services: the record writer ended (%d)\n", status);
  }
}

static void tick(struct waiter *self, uint32_t events) {
  uint64_t ticks;
  (void)events;
  /* Ticks that a pause of the guest swallowed are made good by lines.c; a report is only ever current. */
  if (read(self->fd, &ticks, sizeof ticks) != sizeof ticks) return;
  reap();
  lines_tick();
  control_tick();
}

static void read_boot_id(void) {
  int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  if (fd < 0 || read(fd, boot_id, BOOT_ID_LENGTH) != BOOT_ID_LENGTH) fail("boot_id");
  close(fd);
}

int main(void) {
  static struct waiter echoes[2] = {{.ready = echo}, {.ready = echo}};
  static struct waiter ticker = {.ready = tick};
  struct itimerspec period = {{0, TICK_MS * 1000000L}, {0, TICK_MS * 1000000L}};
  struct epoll_event events[32];

  signal(SIGPIPE, SIG_IGN);
  read_boot_id();
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) fail("mmap");
  if ((epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0) fail("epoll_create");
  writer = records_start_writer();

  lines_open();
  records_open();
  control_open();
  echoes[0].fd = bind_udp(7);
  echoes[1].fd = bind_udp(7001);
  wait_for(&echoes[0], EPOLLIN);
  wait_for(&echoes[1], EPOLLIN);
  ticker.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (ticker.fd < 0 || timerfd_settime(ticker.fd, 0, &period, NULL) < 0) fail("timerfd");
  wait_for(&ticker, EPOLLIN);

  printf("demo-services: up, boot %s\n", boot_id);
  fflush(stdout);
  for (;;) {
    int count = epoll_wait(epoll_fd, events, 32, -1);
    if (count < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < count; i++) {
      struct waiter *waiter = events[i].data.ptr;
      waiter->ready(waiter, events[i].events);
    }
  }
}
