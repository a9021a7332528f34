/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/follow_files.h"

#include "engine/hash.h"
#include "lib/mem.h"
#include "policyd/follow.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NUMBER_DIGITS = 4 }; /* of "mail.log.1"; more are a date */

uint64_t
follow_files_mark(const char *bytes, size_t length)
{
    static const uint8_t key[HASH_KEY_SIZE] = "postpool follow";

    return hash_sip(key, bytes, length);
}

int
follow_files_open(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

/* Are the bytes before the place those that were there?  Returns 1, 0, or a negative errno. */
static int
is_place_in(int fd, const struct follow_place *place)
{
    char bytes[FOLLOW_MARK_BYTES];
    size_t length = place->offset < FOLLOW_MARK_BYTES ? (size_t)place->offset : FOLLOW_MARK_BYTES;
    ssize_t n = pread(fd, bytes, length, place->offset - (int64_t)length);

    if (n < 0)
        return -errno;
    return n == (ssize_t)length && follow_files_mark(bytes, length) == place->mark;
}

/* Likewise; at the beginning of a file no bytes tell. */
static int
is_the_one(int fd, const struct follow_place *place)
{
    struct stat st;

    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    return place->offset > 0 ? is_place_in(fd, place) : (uint64_t)st.st_ino == place->inode;
}

/* ---------------------------------------------------------------- those beside it */

/* The files beside path whose names are its own and something behind it. */
struct beside {
    DIR *dir;
    char *folder;
    const char *name; /* into path */
    int looked;
};

static void
beside_begin(struct beside *beside, const char *path)
{
    const char *slash = strrchr(path, '/');

    beside->name = slash != NULL ? slash + 1 : path;
    beside->folder = slash != NULL && slash != path ? mem_strndup(path, (size_t)(slash - path))
                                                    : mem_strdup(slash != NULL ? "/" : ".");
    beside->dir = opendir(beside->folder);
    beside->looked = 0;
}

/* inode: this one, too, whatever it is called; 0: none. */
static const struct dirent *
beside_next(struct beside *beside, uint64_t inode)
{
    size_t length = strlen(beside->name);
    const struct dirent *entry;

    while (beside->dir != NULL && beside->looked++ < FOLLOW_FILES_LOOKED &&
           (entry = readdir(beside->dir)) != NULL)
        if ((strncmp(entry->d_name, beside->name, length) == 0 && entry->d_name[length] != '\0') ||
            (inode != 0 && entry->d_ino == inode))
            return entry;
    return NULL;
}

static int
beside_open(const struct beside *beside, const char *name)
{
    char *path = mem_printf("%s/%s", beside->folder, name);
    int fd = follow_files_open(path);

    free(path);
    return fd;
}

static void
beside_end(struct beside *beside)
{
    if (beside->dir != NULL)
        closedir(beside->dir);
    free(beside->folder);
}

int
follow_files_find_copy(const char *path, const struct follow_place *place)
{
    struct beside beside;
    const struct dirent *entry;
    int found = -1;

    beside_begin(&beside, path);
    while (found < 0 && (entry = beside_next(&beside, place->inode)) != NULL) {
        found = beside_open(&beside, entry->d_name);
        if (found >= 0 && is_the_one(found, place) <= 0) {
            close(found);
            found = -1;
        }
    }
    beside_end(&beside);
    errno = ENOENT;
    return found;
}

int
follow_files_find(const char *path, const struct follow_place *place)
{
    int fd = follow_files_open(path), same = fd >= 0 ? is_the_one(fd, place) : 0;

    if (same > 0)
        return fd;
    if (fd >= 0)
        close(fd);
    if (same == 0)
        return follow_files_find_copy(path, place);
    errno = -same; /* a disk that fails does not tell that it is another file */
    return -1;
}

/* --------------------------------------------------------------------- their order */

/* What stands behind the log's name: ".1" and on, the larger the older, or a date. */
static bool
is_age(const char *suffix)
{
    return (suffix[0] == '.' || suffix[0] == '-') && suffix[1] != '\0' &&
           suffix[1 + strspn(suffix + 1, "0123456789-")] == '\0';
}

static bool
is_number(const char *suffix)
{
    return strlen(suffix) <= 1 + NUMBER_DIGITS && strchr(suffix + 1, '-') == NULL;
}

/* Was the file with the suffix a written to before the one with b?  Of two kinds neither was. */
static bool
is_before(const char *a, const char *b)
{
    if (is_number(a) != is_number(b))
        return false;
    return is_number(a) ? atoi(a + 1) > atoi(b + 1) : strcmp(a, b) < 0;
}

/* The suffix of the file with that inode; NULL: it has none, or another form.  The caller's. */
static char *
suffix_of(const char *path, ino_t inode)
{
    struct beside beside;
    const struct dirent *entry;
    char *suffix = NULL;

    beside_begin(&beside, path);
    while (suffix == NULL && (entry = beside_next(&beside, 0)) != NULL)
        if (entry->d_ino == inode && is_age(entry->d_name + strlen(beside.name)))
            suffix = mem_strdup(entry->d_name + strlen(beside.name));
    beside_end(&beside);
    return suffix;
}

/* The oldest file that is newer than suffix.  Returns a descriptor, or -1; false: there is none. */
static bool
open_newer(const char *path, const char *suffix, int *ret_fd)
{
    struct beside beside;
    const struct dirent *entry;
    char *next = NULL;
    bool there;

    beside_begin(&beside, path);
    while ((entry = beside_next(&beside, 0)) != NULL) {
        const char *other = entry->d_name + strlen(beside.name);

        if (!is_age(other) || !is_before(suffix, other) ||
            (next != NULL && !is_before(other, next + strlen(beside.name))))
            continue;
        free(next);
        next = mem_strdup(entry->d_name);
    }
    there = next != NULL;
    if (there)
        *ret_fd = beside_open(&beside, next);
    free(next);
    beside_end(&beside);
    return there;
}

int
follow_files_next(const char *path, int fd)
{
    struct stat st;
    char *suffix;
    int next;

    if (fstat(fd, &st) < 0)
        return -1;
    suffix = suffix_of(path, st.st_ino);
    if (suffix == NULL || !open_newer(path, suffix, &next))
        next = follow_files_open(path);
    free(suffix);
    return next;
}
