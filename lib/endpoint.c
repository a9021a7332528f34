/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/endpoint.h"

#include "lib/err.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { PORT_MAX = 65535 };

struct place {
    struct sockaddr_storage address;
    socklen_t length;
};

const char *
endpoint_path(const char *text)
{
    return strncmp(text, "unix:", 5) == 0 ? text + 5 : NULL;
}

static int
unix_place(const char *path, struct place *place, struct err *err)
{
    static const char path_letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._@+-";
    struct sockaddr_un *un = (struct sockaddr_un *)&place->address;

    if (path[0] != '/')
        return err_set(err, -EINVAL, "unix:%s is not an absolute path", path);
    if (strspn(path, path_letters) != strlen(path))
        return err_set(err, -EINVAL,
                       "unix:%s: Postfix reads the path between other words, write letters, digits "
                       "and any of /._@+-",
                       path);
    if (strlen(path) >= sizeof(un->sun_path))
        return err_set(err, -EINVAL, "unix:%s is longer than %zu characters", path,
                       sizeof(un->sun_path) - 1);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, strlen(path) + 1);
    place->length = sizeof(*un);
    return 0;
}

/* "host:port" or "[v6]:port"; numeric: no look-up, only syntax. */
static int
inet_place(const char *text, bool numeric, struct place *place, struct err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    const char *colon = strrchr(text, ':');
    char host[256];
    size_t length = colon != NULL ? (size_t)(colon - text) : 0;
    int r;

    if (length == 0 || length >= sizeof(host) || colon[1] == '\0' ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) || strlen(colon + 1) > 5)
        return err_set(err, -EINVAL, "inet:%s is not \"inet:host:port\"", text);
    if (atoi(colon + 1) < 1 || atoi(colon + 1) > PORT_MAX)
        return err_set(err, -EINVAL, "inet:%s: %s is no port, they go from 1 to %d", text,
                       colon + 1, PORT_MAX);
    if (text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    }
    memcpy(host, text, length);
    host[length] = '\0';
    if (numeric)
        return 0;
    r = getaddrinfo(host, colon + 1, &hints, &found);
    if (r != 0)
        return err_set(err, -EINVAL, "inet:%s: %s", text, gai_strerror(r));
    memcpy(&place->address, found->ai_addr, found->ai_addrlen);
    place->length = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

static int
place_of(const char *text, bool syntax_only, struct place *place, struct err *err)
{
    *place = (struct place){0};
    if (strncmp(text, "unix:", 5) == 0)
        return unix_place(text + 5, place, err);
    if (strncmp(text, "inet:", 5) == 0)
        return inet_place(text + 5, syntax_only, place, err);
    return err_set(err, -EINVAL, "\"%s\" is no socket, write \"unix:/path\" or \"inet:host:port\"",
                   text);
}

int
endpoint_check(const char *text, struct err *err)
{
    struct place place;

    return place_of(text, true, &place, err);
}

static int
open_at(const char *text, const struct place *place, struct err *err)
{
    int fd = socket(place->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd < 0 ? err_set(err, -errno, "%s: %s", text, strerror(errno)) : fd;
}

int
endpoint_connect(const char *text, struct err *err)
{
    struct place place;
    int r = place_of(text, false, &place, err);
    int fd;

    if (r < 0)
        return r;
    fd = open_at(text, &place, err);
    if (fd < 0)
        return fd;
    if (connect(fd, (struct sockaddr *)&place.address, place.length) < 0) {
        r = -errno;
        close(fd);
        return err_set(err, r, "%s: %s", text, strerror(-r));
    }
    return fd;
}

int
endpoint_clear(const char *text, struct err *err)
{
    const char *path = endpoint_path(text);
    struct stat st;
    int fd;

    if (path == NULL || lstat(path, &st) < 0)
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, -EEXIST, "%s: there is a file, but no socket", path);
    fd = endpoint_connect(text, NULL);
    if (fd >= 0)
        close(fd);
    if (fd >= 0 || fd == -EAGAIN)
        return err_set(err, -EADDRINUSE, "%s: another program listens there", text);
    if (unlink(path) < 0)
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    return 0;
}

int
endpoint_give(const char *path, const struct endpoint_access *access, struct err *err)
{
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    char self[32];
    struct stat st;
    int r = 0;

    /* The folder may belong to somebody else, who could put a link to a file of root's here. */
    if (fd < 0)
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))
        r = err_set(err, -EEXIST, "%s: is no longer the socket that was made", path);
    else if (chmod(self, access->mode) < 0)
        r = err_set(err, -errno, "%s: chmod: %s", path, strerror(errno));
    else if ((access->owner != (uid_t)-1 || access->group != (gid_t)-1) &&
             fchownat(fd, "", access->owner, access->group, AT_EMPTY_PATH) < 0)
        r = err_set(err, -errno, "%s: chown: %s", path, strerror(errno));
    close(fd);
    return r;
}

int
endpoint_listen(const char *text, const struct endpoint_access *access, struct err *err)
{
    struct place place;
    const char *path = endpoint_path(text);
    mode_t umask_before;
    int fd, r, one = 1;

    r = place_of(text, false, &place, err);
    if (r == 0)
        r = endpoint_clear(text, err);
    if (r < 0)
        return r;
    fd = open_at(text, &place, err);
    if (fd < 0)
        return fd;
    if (path == NULL)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    umask_before = umask(0777); /* nobody connects before endpoint_give() */
    r = bind(fd, (struct sockaddr *)&place.address, place.length) < 0 ? -errno : 0;
    umask(umask_before);
    if (r == 0 && listen(fd, ENDPOINT_BACKLOG) < 0)
        r = -errno;
    if (r < 0)
        err_set(err, r, "%s: %s", text, strerror(-r));
    else if (path != NULL)
        r = endpoint_give(path, access, err);
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

bool
endpoint_is(const char *text, int fd)
{
    struct place place;
    struct sockaddr_storage bound = {0};
    socklen_t length = sizeof(bound);

    if (place_of(text, false, &place, NULL) < 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &length) < 0 ||
        bound.ss_family != place.address.ss_family)
        return false;
    if (bound.ss_family == AF_UNIX)
        return strcmp(((struct sockaddr_un *)&bound)->sun_path,
                      ((struct sockaddr_un *)&place.address)->sun_path) == 0;
    return length == place.length && memcmp(&bound, &place.address, length) == 0;
}
