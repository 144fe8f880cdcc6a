/*
 * A running picture on the guest's VGA display (QEMU docs/specs/standard-vga.rst): a moving gradient, and above it
 * what a viewer's tests read. Row 0 has the number of the frame, row 1 how many keys were pressed, rows 2 and 3 where the
 * pointer is (0 to 32767, from the left and from the top), row 4 how many of its buttons were pressed; each of their 16
 * bits, the highest first, is a square of 16 points, black or white.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/input.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "services.h"

#define WIDTH 1024
#define HEIGHT 768
#define SQUARE 16
#define BITS 16
#define ROWS 5
#define BOX 160
#define BACKGROUND 0x202020
#define MAX_DEVICES 8
/* Where arguments.ts puts the display. */
#define MEMORY "/sys/bus/pci/devices/0000:00:01.0/resource0"
#define DISPI_INDEX 0x1ce
#define DISPI_DATA 0x1cf

static uint32_t (*screen)[WIDTH];

static void dispi(unsigned short index, unsigned short value) {
  outw(index, DISPI_INDEX);
  outw(value, DISPI_DATA);
}

/* 1: width, 2: height, 3: bits a point, 4: on (1) with a linear framebuffer (0x40). */
static void set_mode(void) {
  if (iopl(3) < 0) fail("iopl");
  dispi(4, 0);
  dispi(1, WIDTH);
  dispi(2, HEIGHT);
  dispi(3, 32);
  dispi(4, 0x41);
}

static void draw_number(int row, uint32_t number) {
  for (int y = row * SQUARE; y < (row + 1) * SQUARE; y++)
    for (int bit = 0; bit < BITS; bit++) {
      uint32_t colour = number >> (BITS - 1 - bit) & 1 ? 0xffffff : 0;
      for (int x = bit * SQUARE; x < (bit + 1) * SQUARE; x++) screen[y][x] = colour;
    }
}

/* Where the box is in a frame. */
struct place {
  int left, top;
};

static struct place place_of(uint32_t frame) {
  return (struct place){
      .left = (int)(frame * 8 % (WIDTH - BOX)),
      .top = ROWS * SQUARE + (int)(frame * 3 % (HEIGHT - BOX - ROWS * SQUARE)),
  };
}

static int is_in_box(struct place box, int x, int y) {
  return x >= box.left && x < box.left + BOX && y >= box.top && y < box.top + BOX;
}

static void draw_box(uint32_t frame) {
  struct place old = place_of(frame - 1), new = place_of(frame);
  for (int y = old.top; y < old.top + BOX; y++)
    for (int x = old.left; x < old.left + BOX; x++)
      if (!is_in_box(new, x, y)) screen[y][x] = BACKGROUND;
  for (int y = 0; y < BOX; y++)
    for (int x = 0; x < BOX; x++)
      screen[new.top + y][new.left + x] =
          (uint32_t)((x + (int)frame) & 255) << 16 | (uint32_t)(y & 255) << 8 | (frame & 255);
}

/* What was done with keyboard and pointer. */
struct input {
  uint32_t keys, x, y, buttons;
};

static int open_devices(struct pollfd *found) {
  int count = 0;
  struct dirent *entry;
  DIR *folder = opendir("/dev/input");
  while (folder && count < MAX_DEVICES && (entry = readdir(folder))) {
    char path[300];
    if (strncmp(entry->d_name, "event", 5)) continue;
    snprintf(path, sizeof path, "/dev/input/%s", entry->d_name);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) found[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
  }
  if (folder) closedir(folder);
  return count;
}

static void take_input(int fd, struct input *input) {
  struct input_event event;
  while (read(fd, &event, sizeof event) == sizeof event) {
    if (event.type == EV_KEY && event.value == 1) event.code < BTN_MISC ? input->keys++ : input->buttons++;
    if (event.type == EV_ABS && event.code == ABS_X) input->x = (uint32_t)event.value;
    if (event.type == EV_ABS && event.code == ABS_Y) input->y = (uint32_t)event.value;
  }
}

void picture_show(const void *argument) {
  const struct picture_order *order = argument;
  struct pollfd devices[MAX_DEVICES];
  struct input input = {0};
  uint64_t period_us = 1000000 / order->frames_per_second, next_us = clock_us(CLOCK_MONOTONIC);
  uint32_t frame = 0;
  int memory = open(MEMORY, O_RDWR | O_CLOEXEC);
  if (memory < 0) fail(MEMORY);
  screen = mmap(NULL, sizeof *screen * HEIGHT, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
  if (screen == MAP_FAILED) fail("mmap of the display");
  set_mode();
  for (int y = 0; y < HEIGHT; y++)
    for (int x = 0; x < WIDTH; x++) screen[y][x] = BACKGROUND;
  int count = open_devices(devices);
  for (;;) {
    uint64_t now_us = clock_us(CLOCK_MONOTONIC);
    if (now_us >= next_us) {
      draw_number(0, ++frame);
      draw_box(frame);
      /* Frames that a pause swallowed are not made good. */
      next_us = next_us + period_us > now_us ? next_us + period_us : now_us + period_us;
    }
    if (poll(devices, (nfds_t)count, (int)((next_us - now_us) / 1000) + 1) <= 0) continue;
    for (int i = 0; i < count; i++)
      if (devices[i].revents) take_input(devices[i].fd, &input);
    draw_number(1, input.keys);
    draw_number(2, input.x);
    draw_number(3, input.y);
    draw_number(4, input.buttons);
  }
}
