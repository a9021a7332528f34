/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/zone_file.h"

#include "engine/zone.h"
#include "lib/err.h"
#include "lib/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCALTIME "/etc/localtime"

static int
read_file(const char *path, struct zone **ret_zone, struct err *err)
{
    FILE *file = fopen(path, "re");
    uint8_t *bytes;
    size_t length;
    int r = 0;

    if (file == NULL)
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    bytes = mem_array(ZONE_BYTES_MAX + 1, 1);
    length = fread(bytes, 1, ZONE_BYTES_MAX + 1, file);
    if (ferror(file))
        r = err_set(err, -EIO, "%s: it cannot be read", path);
    else if ((*ret_zone = zone_parse(bytes, length)) == NULL)
        r = err_set(err, -EINVAL, "%s is no compiled time zone", path);
    fclose(file);
    free(bytes);
    return r;
}

/* In the folder of zones, and nowhere else. */
static bool
is_name(const char *name)
{
    return name[0] != '/' && strstr(name, "..") == NULL && strlen(name) < 100;
}

static int
load_named(const char *name, struct zone **ret_zone, struct err *err)
{
    char path[256];

    *ret_zone = NULL;
    if (strcmp(name, "UTC") == 0) /* also where there are no files */
        return 0;
    *ret_zone = zone_parse_rule(name);
    if (*ret_zone != NULL)
        return 0;
    if (!is_name(name))
        return err_set(err, -EINVAL, "\"%s\" is no name of a time zone", name);
    snprintf(path, sizeof(path), ZONE_FOLDER "/%s", name);
    return read_file(path, ret_zone, err);
}

int
zone_load(const char *name, struct zone **ret_zone, struct err *err)
{
    const char *host = getenv("TZ");
    int r;

    if (strcmp(name, "local") != 0)
        return load_named(name, ret_zone, err);
    *ret_zone = NULL;
    if (host != NULL && host[0] != '\0') {
        host += host[0] == ':';
        return host[0] == '/' ? read_file(host, ret_zone, err) : load_named(host, ret_zone, err);
    }
    r = read_file(LOCALTIME, ret_zone, err);
    return r == -ENOENT ? 0 : r;
}
