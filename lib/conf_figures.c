/*
 * What happened to mail, hour by hour: where that is kept, and what is said of it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lib/conf_site.h"

#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct conf, member)
#define FILE_NAME "figures.db"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

const struct conf_key conf_figures_keys[] = {
    {"path", KEY_TEXT, AT(figures_path), "", 0, 0,
     "The file; default: figures.db beside that of the store; or \"none\".", NULL, NULL},
    {"keep", KEY_DURATION, AT(figures_keep_ms), "90d", DAY_MS, 366 * DAY_MS,
     "How long they are kept.", NULL, NULL},
    {"megabytes", KEY_COUNT, AT(figures_megabytes), "512", 16, 100 * 1000,
     "The most that the file holds; the oldest hours go first.", NULL, NULL},
    {"accounts", KEY_COUNT, AT(figures_accounts), "1000", 0, 100 * 1000,
     "So many accounts are counted each for itself in one hour, the others together.", NULL, NULL},
    {"thin", KEY_COUNT, AT(figures_thin), "2000", 0, 1000 * 1000 * 1000,
     "Messages that an address should send to a provider in a month; 0: any number will do.", NULL,
     NULL},
    {"most", KEY_COUNT, AT(figures_most), "50", 1, 100,
     "Percent of a shared pool's mail that one account may have without a warning.", NULL, NULL},
    CONF_KEY_END,
};

void
conf_check_figures(struct conf_reader *reader, config_setting_t *path)
{
    struct conf *conf = reader->conf;
    const char *slash;

    if (conf->figures_path == NULL || conf->figures_path[0] == '\0') {
        free(conf->figures_path);
        slash = conf->store_path != NULL ? strrchr(conf->store_path, '/') : NULL;
        conf->figures_path = slash != NULL
                                 ? mem_printf("%.*s%s", (int)(slash - conf->store_path + 1),
                                              conf->store_path, FILE_NAME)
                                 : mem_strdup("none");
        return;
    }
    if (conf->figures_path[0] != '/' && strcmp(conf->figures_path, "none") != 0)
        conf_problem(reader, path,
                     "\"%s\" is no file, write an absolute path such as "
                     "\"/var/lib/postpool/figures.db\", or \"none\"",
                     conf->figures_path);
    if (conf->store_path != NULL && strcmp(conf->figures_path, conf->store_path) == 0)
        conf_problem(reader, path, "is the store's file, figures need one of their own");
}
