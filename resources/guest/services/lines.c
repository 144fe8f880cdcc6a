/*
 * TCP 7000: numbered lines and echo. What a slow or paused connection could not take yet is not left
 * out but sent later, so that a gap in the numbers always means lost data.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "services.h"

#define MAX_CLIENTS 64
#define MAX_LINE 1024
#define OUT_BYTES 8192

struct client {
  struct waiter waiter;
  uint64_t since_us;
  uint64_t sent; /* numbered lines so far */
  char in[MAX_LINE];
  size_t in_length;
  char out[OUT_BYTES];
  size_t out_length;
  uint32_t waits_for;
};

static struct client *clients[MAX_CLIENTS];
static struct waiter listener;

/* Only from client_ready: an event of the same epoll round may still point to any other client. */
static void drop(struct client *client) {
  for (int i = 0; i < MAX_CLIENTS; i++)
    if (clients[i] == client) clients[i] = NULL;
  close(client->waiter.fd);
  free(client);
}

/* Returns -1 when the connection is gone. */
static int flush(struct client *client) {
  while (client->out_length > 0) {
    ssize_t count = send(client->waiter.fd, client->out, client->out_length, 0);
    if (count < 0 && errno == EAGAIN) break;
    if (count < 0) return -1;
    client->out_length -= (size_t)count;
    memmove(client->out, client->out + count, client->out_length);
  }
  uint32_t waits_for = client->in_length < MAX_LINE ? EPOLLIN : 0;
  if (client->out_length > 0) waits_for |= EPOLLOUT;
  if (waits_for != client->waits_for) change_wait(&client->waiter, client->waits_for = waits_for);
  return 0;
}

static void add_due_lines(struct client *client) {
  uint64_t due = (clock_us(CLOCK_MONOTONIC) - client->since_us) / (TICK_MS * 1000);
  while (client->sent < due && client->out_length + 64 <= OUT_BYTES)
    client->out_length += (size_t)snprintf(client->out + client->out_length, 64, "%s %llu\n", boot_id,
                                           (unsigned long long)++client->sent);
}

/* Answers every whole line that there is room to answer; the rest waits, and with it the sender. */
static void answer_lines(struct client *client) {
  char *end;
  while ((end = memchr(client->in, '\n', client->in_length)) != NULL) {
    size_t length = (size_t)(end - client->in) + 1;
    if (client->out_length + 5 + length > OUT_BYTES) return;
    memcpy(client->out + client->out_length, "echo ", 5);
    memcpy(client->out + client->out_length + 5, client->in, length);
    client->out_length += 5 + length;
    client->in_length -= length;
    memmove(client->in, end + 1, client->in_length);
  }
}

static void client_ready(struct waiter *self, uint32_t events) {
  struct client *client = (struct client *)self;
  if (events & (EPOLLHUP | EPOLLERR)) return drop(client);
  if (events & EPOLLIN) {
    size_t room = MAX_LINE - client->in_length;
    if (room > 0) {
      ssize_t count = recv(self->fd, client->in + client->in_length, room, 0);
      if (count == 0 || (count < 0 && errno != EAGAIN)) return drop(client);
      if (count > 0) client->in_length += (size_t)count;
    }
  }
  answer_lines(client);
  if (client->in_length == MAX_LINE && !memchr(client->in, '\n', MAX_LINE)) return drop(client);
  if (flush(client) < 0) drop(client);
}

static void accept_client(struct waiter *self, uint32_t events) {
  int fd = accept4(self->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  (void)events;
  if (fd < 0) return;
  for (int i = 0; i < MAX_CLIENTS; i++) {
    if (clients[i]) continue;
    struct client *client = calloc(1, sizeof *client);
    if (!client) break;
    client->waiter.fd = fd;
    client->waiter.ready = client_ready;
    client->since_us = clock_us(CLOCK_MONOTONIC);
    clients[i] = client;
    wait_for(&client->waiter, client->waits_for = EPOLLIN);
    return;
  }
  close(fd);
}

void lines_tick(void) {
  for (int i = 0; i < MAX_CLIENTS; i++) {
    struct client *client = clients[i];
    if (!client) continue;
    add_due_lines(client);
    answer_lines(client);
    flush(client); /* of a broken connection epoll tells client_ready */
  }
}

void lines_open(void) {
  listener.fd = listen_tcp(7000);
  listener.ready = accept_client;
  wait_for(&listener, EPOLLIN);
}
