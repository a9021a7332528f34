/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/sockets.h"

#include "lib/conf.h"
#include "lib/daemon.h"
#include "lib/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>
#endif

#ifdef HAVE_LIBSYSTEMD
static int
sort_out(const struct conf *conf, int fd, const char *name, struct sockets *sockets,
         struct err *err)
{
    int *place;

    if (sd_is_socket(fd, 0, SOCK_STREAM, 1) <= 0)
        return err_set(err, -EINVAL, "descriptor %d from systemd is no listening stream socket",
                       fd);
    if (strcmp(name, "lookup") == 0 || endpoint_is(conf->lookup, fd))
        place = &sockets->lookup;
    else if (strcmp(name, "control") == 0 || endpoint_is(conf->control, fd))
        place = &sockets->control;
    else if (conf->policy != NULL && (strcmp(name, "policy") == 0 || endpoint_is(conf->policy, fd)))
        place = &sockets->policy;
    else if (strcmp(name, "policy") == 0)
        return err_set(err, -EINVAL,
                       "descriptor %d from systemd is for the policy service, but there is no "
                       "listen.policy: set it, or disable the socket unit",
                       fd);
    else
        return err_set(err, -EINVAL,
                       "descriptor %d from systemd (\"%s\") is neither lookup, policy nor control: "
                       "name it with "
                       "FileDescriptorName= or give it the address of listen",
                       fd, name);
    if (*place >= 0)
        return err_set(err, -EINVAL,
                       "descriptors %d and %d from systemd are both for listen.%s: one socket is "
                       "served, take the other ListenStream= out",
                       *place, fd,
                       place == &sockets->lookup   ? "lookup"
                       : place == &sockets->policy ? "policy"
                                                   : "control");
    *place = fd;
    return 0;
}

static int
take_from_systemd(const struct conf *conf, struct sockets *sockets, struct err *err)
{
    char **names = NULL;
    int count = sd_listen_fds_with_names(1, &names);
    int r = 0;

    for (int i = 0; i < count; i++) {
        if (r == 0)
            r = sort_out(conf, SD_LISTEN_FDS_START + i, names[i], sockets, err);
        free(names[i]);
    }
    free(names);
    return r;
}
#else
static int
take_from_systemd(const struct conf *conf, struct sockets *sockets, struct err *err)
{
    (void)conf;
    (void)sockets;
    if (getenv("LISTEN_FDS") != NULL)
        return err_set(err, -ENOSYS,
                       "there are sockets from systemd, but postpool was built without it");
    return 0;
}
#endif

/* What Postfix asks belongs to its group; the control socket to the daemon alone. */
static int
open_asked(const struct conf *conf, const char *endpoint, const struct daemon_user *user,
           struct err *err)
{
    struct endpoint_access access;
    int r = daemon_access(user, conf->listen_owner, conf->listen_group, conf->listen_mode, &access,
                          err);

    if (r < 0)
        return err_add(err, r, "listen");
    if (endpoint_path(endpoint) != NULL)
        r = daemon_make_folder(endpoint_path(endpoint), user, &access.group, err);
    return r < 0 ? r : endpoint_listen(endpoint, &access, err);
}

static int
open_control(const struct conf *conf, const struct daemon_user *user, struct err *err)
{
    struct endpoint_access access;
    int r = daemon_access(user, "", "", 0660, &access, err);

    if (r == 0 && endpoint_path(conf->control) != NULL)
        r = daemon_make_folder(endpoint_path(conf->control), user, NULL, err);
    return r < 0 ? r : endpoint_listen(conf->control, &access, err);
}

int
sockets_open(const struct conf *conf, const struct daemon_user *user, struct sockets *ret_sockets,
             struct err *err)
{
    struct sockets sockets = {-1, -1, -1};
    int r = take_from_systemd(conf, &sockets, err);

    if (r < 0)
        return r;
    if (sockets.lookup < 0)
        sockets.lookup = open_asked(conf, conf->lookup, user, err);
    if (sockets.lookup < 0)
        return err_add(err, sockets.lookup, "listen.lookup");
    if (sockets.control < 0)
        sockets.control = open_control(conf, user, err);
    if (sockets.control < 0)
        return err_add(err, sockets.control, "listen.control");
    if (sockets.policy < 0 && conf->policy != NULL) {
        sockets.policy = open_asked(conf, conf->policy, user, err);
        if (sockets.policy < 0)
            return err_add(err, sockets.policy, "listen.policy");
    }
    *ret_sockets = sockets;
    return 0;
}
