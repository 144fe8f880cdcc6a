/* Preloaded into tcpdump in a user namespace, where groups cannot be set (user_namespaces(7), setgroups):
 * it insists on setting those of the user it is to run as, even if it already runs as that user. */
#include <sys/types.h>

int initgroups(const char *user, gid_t group) {
  (void)user;
  (void)group;
  return 0;
}
