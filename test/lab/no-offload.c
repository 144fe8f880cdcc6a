/*
 * Tells a network interface to fill in checksums itself, which also ends segmentation by the interface: `no-offload NAME`. A veth
 * leaves both to whoever needs them, and a switch in userspace at its other end would pass packets on without checksums.
 */
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
  if (argc != 2 || strlen(argv[1]) >= IFNAMSIZ) return 2;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct ethtool_value off = {.cmd = ETHTOOL_STXCSUM, .data = 0};
  struct ifreq request = {.ifr_data = (void *)&off};
  strcpy(request.ifr_name, argv[1]);
  if (fd < 0 || ioctl(fd, SIOCETHTOOL, &request) < 0) {
    perror(argv[1]);
    return 1;
  }
  return 0;
}
