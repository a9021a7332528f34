/*
 * The table that says which keys a configuration group may hold, and the
 * reader that walks a group by it.
 *
 * The file is walked, not the table, so that unknown keys are seen.  libconfig
 * is asked for syntax, includes and line numbers only: its lookups answer
 * "missing" and "wrong type" alike.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_CONF_KEY_H
#define LIB_CONF_KEY_H

#include "lib/conf.h"

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a key holds, and so what the struct member at its offset is. */
enum key_type {
    KEY_TEXT,       /* char * */
    KEY_HOST,       /* char *: a host name, as Postfix and SMTP take it */
    KEY_PATH,       /* char *: an absolute path */
    KEY_ENDPOINT,   /* char *: see lib/endpoint.h */
    KEY_HEADER,     /* char *: the name of a header field */
    KEY_TLS,        /* char *: a Postfix TLS security level */
    KEY_COUNT,      /* int, in the file a number */
    KEY_DURATION,   /* int64_t: milliseconds; in the file a text */
    KEY_SECONDS,    /* int; in the file a text, whole seconds */
    KEY_MODE,       /* int: in the file octal digits as a text */
    KEY_WEIGHT,     /* double > 0 */
    KEY_SHARE,      /* uint32_t: of FAULT_ALL; in the file percent, at least 0.01 */
    KEY_IP,         /* struct ip: a unicast address */
    KEY_LIST,       /* struct conf_list: texts */
    KEY_BOOL,       /* bool */
    KEY_DATE,       /* int32_t: days as in engine/date.h; in the file a text */
    KEY_CAPS,       /* struct caps: see lib/conf_caps.h */
    KEY_EXHAUSTED,  /* enum exhausted: "defer" or "exceed" */
    KEY_OVER_QUOTA, /* enum over_quota: "defer", "reject", "hold" or "tag" */
    KEY_UNMET,      /* enum unmet: "warn", "tempfail" or "reject" */
    KEY_STORE,      /* enum store_type: "sqlite" or "redis" */
    KEY_GROUP,      /* a group of its own: see keys */
    KEY_OWN,        /* whatever read() makes of it; no read(): the caller reads it later */
};

struct conf_reader {
    struct conf *conf;              /* being filled */
    struct conf_problems *problems; /* not ours */
    const char *file;               /* said where libconfig knows no file */
};

struct conf_key {
    const char *name;
    enum key_type type;
    size_t offset;
    const char *initial; /* default, written as in the file; NULL: the key is required. */
    int64_t min, max;    /* KEY_COUNT: plain; KEY_DURATION, KEY_SECONDS: ms */
    const char *help;    /* one sentence */
    const struct conf_key *keys;
    void (*read)(struct conf_reader *reader, config_setting_t *setting);
};

/* A table ends with a key whose name is NULL. */
#define CONF_KEY_END                                    \
    {                                                   \
        NULL, KEY_TEXT, 0, NULL, 0, 0, NULL, NULL, NULL \
    }

/*
 * Fill object from group by the table.  Every key that is missing gets its
 * default; every mistake becomes a problem.
 */
void conf_read_group(struct conf_reader *reader, config_setting_t *group,
                     const struct conf_key *keys, void *object);

/* Fill object with the defaults of the table alone. */
void conf_read_defaults(const struct conf_key *keys, void *object);

/* Free what object holds by the table, all but what is read by a KEY_OWN. */
void conf_clear_group(const struct conf_key *keys, void *object);

/* The text of a string setting, or NULL and a problem when it is none. */
const char *conf_read_text(struct conf_reader *reader, config_setting_t *setting);

/* Is setting a list, "( ... )" or "[ ... ]"?  If not, a problem that says what it should hold. */
bool conf_read_is_list(struct conf_reader *reader, config_setting_t *setting, const char *of_what);

/* A mistake (or warning) at setting; the text says what is wrong and what would be right. */
void conf_problem(struct conf_reader *reader, const config_setting_t *setting, const char *format,
                  ...) __attribute__((format(printf, 3, 4)));
void conf_warning(struct conf_reader *reader, const config_setting_t *setting, const char *format,
                  ...) __attribute__((format(printf, 3, 4)));

#endif
