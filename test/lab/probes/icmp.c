/*
 * Numbered ICMP echoes, evenly spaced: icmp ADDRESS SPACING-US PHASE-US LOG, needs CAP_NET_RAW. (ping(8)
 * keeps its spacing only while replies take less time than that.) They leave PHASE-US after the multiples of
 * SPACING-US on CLOCK_MONOTONIC, so that several of these take turns. Writes `clock <ns> <realtime ns>`, `sent <ns> <n>`
 * and `got <ns> <n>`, ns of CLOCK_MONOTONIC, as log.ts does. After SIGTERM it only listens, and ends after
 * LISTEN_MS.
 */
#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PAYLOAD_BYTES 32
#define LISTEN_MS 1500
#define RECEIVE_BYTES (4 << 20)

static int fd, version;
static uint16_t identifier;
static FILE *out;
static volatile sig_atomic_t stopping;

/* ICMP and ICMPv6 echoes have the same form (RFC 792; RFC 4443, 4.1). */
struct echo {
  uint8_t type, code;
  uint16_t checksum, identifier, sequence;
  uint32_t number;
  uint8_t filler[PAYLOAD_BYTES - 4];
};

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now(int clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* RFC 1071; the kernel makes that of ICMPv6 itself. */
static uint16_t checksum(const struct echo *echo) {
  const uint16_t *words = (const uint16_t *)echo;
  uint32_t sum = 0;
  for (size_t i = 0; i < sizeof *echo / 2; i++) sum += words[i];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

static void *receive(void *unused) {
  unsigned char packet[512];
  (void)unused;
  for (;;) {
    ssize_t length = recv(fd, packet, sizeof packet, 0);
    uint64_t time = now(CLOCK_MONOTONIC);
    /* A raw IPv4 socket delivers the IP header too (raw(7)). */
    size_t header = version == 4 ? (size_t)(packet[0] & 15) * 4 : 0;
    struct echo echo;
    if (length < (ssize_t)(header + sizeof echo)) continue;
    memcpy(&echo, packet + header, sizeof echo);
    int reply = version == 4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
    if (echo.type != reply || echo.identifier != identifier) continue;
    fprintf(out, "got %llu %u\n", (unsigned long long)time, ntohl(echo.number));
  }
  return NULL;
}

static void open_socket(const char *address) {
  struct sockaddr_in to4 = {.sin_family = AF_INET};
  struct sockaddr_in6 to6 = {.sin6_family = AF_INET6};
  int bytes = RECEIVE_BYTES;
  version = inet_pton(AF_INET, address, &to4.sin_addr) == 1 ? 4 : 6;
  if (version == 6 && inet_pton(AF_INET6, address, &to6.sin6_addr) != 1) {
    fprintf(stderr, "%s is no IP address\n", address);
    exit(2);
  }
  fd = version == 4 ? socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) : socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
  if (fd < 0) fail("socket");
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  if ((version == 4 ? connect(fd, (struct sockaddr *)&to4, sizeof to4)
                    : connect(fd, (struct sockaddr *)&to6, sizeof to6)) < 0)
    fail("connect");
}

static void stop(int signal) {
  (void)signal;
  stopping = 1;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  uint64_t spacing = strtoull(argv[2], NULL, 10) * 1000;
  uint64_t phase = strtoull(argv[3], NULL, 10) * 1000;
  struct sigaction action = {.sa_handler = stop};
  pthread_t receiver;
  out = fopen(argv[4], "a");
  if (!out) fail(argv[4]);
  open_socket(argv[1]);
  identifier = (uint16_t)getpid();
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  fprintf(out, "clock %llu %llu\n", (unsigned long long)now(CLOCK_MONOTONIC),
          (unsigned long long)now(CLOCK_REALTIME));
  if (pthread_create(&receiver, NULL, receive, NULL) != 0) fail("pthread_create");

  uint64_t next = (now(CLOCK_MONOTONIC) / spacing + 1) * spacing + phase;
  for (uint32_t number = 1; !stopping; number++, next += spacing) {
    struct timespec at = {(time_t)(next / 1000000000u), (long)(next % 1000000000u)};
    struct echo echo = {.type = version == 4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST,
                        .identifier = identifier,
                        .sequence = htons((uint16_t)number),
                        .number = htonl(number)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0 && !stopping)
      ;
    if (version == 4) echo.checksum = checksum(&echo);
    fprintf(out, "sent %llu %u\n", (unsigned long long)now(CLOCK_MONOTONIC), number);
    /* What the network refuses counts as sent and lost. */
    (void)!send(fd, &echo, sizeof echo, 0);
  }
  usleep(LISTEN_MS * 1000);
  fflush(out);
  _exit(0);
}
