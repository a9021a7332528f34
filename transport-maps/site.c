/*
 * SPDX-License-Identifier: MIT
 */
#include "transport-maps/site.h"

#include "lib/err.h"
#include "lib/file.h"
#include "lib/mem.h"
#include "transport-maps/run.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const site_changed[] = {
    "smtpd_milters",
    "non_smtpd_milters",
    "recipient_canonical_maps",
    "smtp_generic_maps",
    "lmtp_generic_maps",
    "smtpd_recipient_restrictions",
    "smtpd_end_of_data_restrictions",
    NULL,
};

/* What else we want to know. */
static const char *const asked[] = {
    "mail_version",
    "queue_directory",
    "transport_maps",
    "parent_domain_matches_subdomains",
    "sender_dependent_default_transport_maps",
    "sender_dependent_relayhost_maps",
    "empty_address_default_transport_maps_lookup_key",
    "empty_address_relayhost_maps_lookup_key",
    "default_transport",
    "relay_transport",
    "relayhost",
    "content_filter",
    "recipient_delimiter",
    "canonical_maps",
    "sender_canonical_maps",
    "recipient_canonical_classes",
    "smtp_sender_dependent_authentication",
    "sender_bcc_maps",
    "smtp_delivery_status_filter",
    "inet_interfaces",
    "proxy_interfaces",
};

enum {
    ASKED = sizeof(asked) / sizeof(asked[0]),
    CHANGED = sizeof(site_changed) / sizeof(site_changed[0]) - 1,
    /* References that lead to references; a value that goes on is left as it is. */
    REFERENCE_DEPTH = 5,
};

static struct site_value *
find_value(const struct site *site, const char *name)
{
    for (size_t i = 0; i < site->value_count; i++) {
        if (strcmp(site->values[i].name, name) == 0)
            return &site->values[i];
    }
    return NULL;
}

const char *
site_raw(const struct site *site, const char *name)
{
    const struct site_value *value = find_value(site, name);

    return value != NULL && value->raw != NULL ? value->raw : "";
}

const char *
site_expanded(const struct site *site, const char *name)
{
    const struct site_value *value = find_value(site, name);

    return value != NULL && value->expanded != NULL ? value->expanded : "";
}

static bool
is_changed(const char *name, size_t length)
{
    for (size_t i = 0; i < CHANGED; i++) {
        if (strlen(site_changed[i]) == length && strncmp(site_changed[i], name, length) == 0)
            return true;
    }
    return false;
}

/* One round: each "$name", "${name}", "$(name)" of a changed parameter becomes its raw value. */
static char *
replace_references(const struct site *site, const char *value, bool *ret_found)
{
    struct buf out = {0};

    *ret_found = false;
    while (*value != '\0') {
        const char *name = value + 1;
        char close = '\0';
        size_t length = 0;

        if (value[0] == '$' && (value[1] == '{' || value[1] == '(')) {
            close = value[1] == '{' ? '}' : ')';
            name++;
        }
        while (isalnum((unsigned char)name[length]) || name[length] == '_')
            length++;
        if (value[0] == '$' && value[1] != '$' && is_changed(name, length) &&
            (close == '\0' || name[length] == close)) {
            char *key = mem_strndup(name, length);

            buf_puts(&out, site_raw(site, key));
            free(key);
            value = name + length + (close != '\0');
            *ret_found = true;
        } else {
            size_t step = value[0] == '$' && value[1] == '$' ? 2 : 1;

            buf_add(&out, value, step);
            value += step;
        }
    }
    return buf_take(&out);
}

char *
site_own_value(const struct site *site, const char *value)
{
    char *own = mem_strdup(value);
    bool again = true;

    for (int i = 0; again && i < REFERENCE_DEPTH; i++) {
        char *next = replace_references(site, own, &again);

        free(own);
        own = next;
    }
    return own;
}

/* Run postconf and take its "name = value" lines into the values. */
static int
ask(struct site *site, bool expanded, struct err *err)
{
    const char *argv[5 + ASKED + CHANGED + 1];
    struct run_result result = {0};
    size_t argc = 0;
    const char *rest;
    int r;

    argv[argc++] = "postconf";
    if (site->main_text != NULL) {
        argv[argc++] = "-c";
        argv[argc++] = site->dir;
        if (expanded)
            argv[argc++] = "-x";
    } else {
        argv[argc++] = "-d";
    }
    for (size_t i = 0; i < site->value_count; i++)
        argv[argc++] = site->values[i].name;
    argv[argc] = NULL;
    r = run(argv, NULL, NULL, &result, err);
    if (r < 0)
        return r;
    if (result.status != 0) {
        char *complaint = run_complaint(&result);

        r = err_set(err, -EINVAL, "postconf does not accept %s: %s", site->dir, complaint);
        free(complaint);
    }
    for (rest = result.out; r == 0 && *rest != '\0';) {
        const char *newline = strchrnul(rest, '\n');
        char *line = mem_strndup(rest, (size_t)(newline - rest));
        char *name = NULL;
        char *text = cf_parameter(line, &name);
        struct site_value *value = text != NULL ? find_value(site, name) : NULL;

        if (value != NULL && expanded && value->expanded == NULL) {
            value->expanded = text;
            text = NULL;
        } else if (value != NULL && !expanded && value->raw == NULL) {
            value->raw = text;
            text = NULL;
        }
        free(text);
        free(name);
        free(line);
        rest = *newline == '\n' ? newline + 1 : newline;
    }
    run_result_clear(&result);
    return r;
}

/*
 * The values that we change are as the site's text has them, empty by default.
 * The others come from postconf, whose main.cf may have our blocks in it:
 * those set none of the others.
 */
static int
load_values(struct site *site, struct err *err)
{
    int r;

    site->values = mem_array(ASKED + CHANGED, sizeof(site->values[0]));
    for (size_t i = 0; i < CHANGED; i++) {
        struct site_value *value = &site->values[site->value_count++];

        value->name = site_changed[i];
        value->raw = cf_value(site->main.plain, value->name);
        if (value->raw == NULL)
            value->raw = mem_strdup("");
    }
    for (size_t i = 0; i < ASKED; i++)
        site->values[site->value_count++].name = asked[i];
    r = ask(site, false, err);
    return r == 0 ? ask(site, true, err) : r;
}

/* What the site's own resolver has in its -o options counts for ours, too. */
static void
load_resolver_options(struct site *site)
{
    const struct cf_service *rewrite = cf_services_find(&site->services, "rewrite", "unix");

    for (size_t i = 0; rewrite != NULL && i < rewrite->option_count; i++) {
        struct site_value *value = find_value(site, rewrite->options[i].name);

        if (value == NULL || is_changed(value->name, strlen(value->name)))
            continue;
        free(value->raw);
        free(value->expanded);
        value->raw = mem_strdup(rewrite->options[i].value);
        value->expanded = mem_strdup(rewrite->options[i].value);
    }
}

static void
load_version(struct site *site)
{
    int major = 0;
    int minor = 0;

    if (sscanf(site_expanded(site, "mail_version"), "%d.%d", &major, &minor) == 2)
        site->version = major * 100 + minor;
}

/* Has the table an answer for this key?  One that cannot be asked has none. */
static bool
table_has(const struct site *site, const char *table, const char *key)
{
    const char *argv[] = {"postmap", "-c", site->dir, "-q", key, table, NULL};
    struct run_result result = {0};
    bool has = run(argv, NULL, NULL, &result, NULL) == 0 && result.status == 0;

    run_result_clear(&result);
    return has;
}

static void
add_name(char ***names, size_t *count, const char *name)
{
    *names = mem_resize(*names, *count + 1, sizeof(**names));
    (*names)[(*count)++] = mem_strdup(name);
}

static void
load_tables(struct site *site)
{
    const char *rest = site_expanded(site, "transport_maps");
    char *table;

    while ((table = cf_word(&rest, true)) != NULL) {
        if (table_has(site, table, "*")) {
            add_name(&site->star_tables, &site->star_count, table);
            /* A pattern or static: table may answer to anything, "*" included. */
            if (table_has(site, table, "postpool-probe@postpool-probe.invalid"))
                add_name(&site->catch_all_tables, &site->catch_all_count, table);
        }
        free(table);
    }
}

static int
load_dir(const char *dir, struct site *site, struct err *err)
{
    const char *argv[] = {"postconf", "-d", "-h", "config_directory", NULL};
    struct run_result result = {0};
    int r = 0;

    if (dir == NULL) {
        const char *environment = getenv("MAIL_CONFIG");

        dir = environment;
        if (environment == NULL) {
            r = run(argv, NULL, NULL, &result, err);
            if (r == 0 && result.status != 0)
                r = err_set(err, -ENOENT, "postconf does not know where main.cf is");
            if (r == 0) {
                result.out[strcspn(result.out, "\n")] = '\0';
                dir = result.out;
            }
        }
    }
    if (r == 0 && (site->dir = realpath(dir, NULL)) == NULL)
        r = err_set(err, -errno, "%s: %s", dir, strerror(errno));
    run_result_clear(&result);
    return r;
}

/* Read one file and take it apart; *ret_text stays NULL when there is none and that is fine. */
static int
load_file(const char *path, bool master, bool may_lack, char **ret_text, struct edit_file *ret_file,
          struct err *err)
{
    int r = file_read(path, ret_text, err);

    if (r < 0 && !(r == -ENOENT && may_lack))
        return r;
    r = (master ? edit_parse_master : edit_parse_main)(*ret_text != NULL ? *ret_text : "", ret_file,
                                                       err);
    return r < 0 ? err_add(err, r, "%s", path) : 0;
}

int
site_load(const char *dir, bool may_lack, struct site **ret_site, struct err *err)
{
    struct site *site = mem_new(sizeof(*site));
    int r = load_dir(dir, site, err);

    if (r < 0)
        goto out;
    site->main_path = mem_printf("%s/main.cf", site->dir);
    site->master_path = mem_printf("%s/master.cf", site->dir);
    r = load_file(site->main_path, false, may_lack, &site->main_text, &site->main, err);
    if (r < 0)
        goto out;
    r = load_file(site->master_path, true, may_lack, &site->master_text, &site->master, err);
    if (r < 0)
        goto out;
    cf_services_parse(site->master.plain, &site->services);
    r = load_values(site, err);
    if (r < 0)
        goto out;
    load_resolver_options(site);
    load_version(site);
    if (site->main_text != NULL)
        load_tables(site);
    *ret_site = site;
    site = NULL;
out:
    site_free(site);
    return r;
}

static void
free_names(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

void
site_free(struct site *site)
{
    if (site == NULL)
        return;
    for (size_t i = 0; i < site->value_count; i++) {
        free(site->values[i].raw);
        free(site->values[i].expanded);
    }
    free_names(site->star_tables, site->star_count);
    free_names(site->catch_all_tables, site->catch_all_count);
    cf_services_clear(&site->services);
    edit_file_clear(&site->main);
    edit_file_clear(&site->master);
    free(site->values);
    free(site->main_text);
    free(site->master_text);
    free(site->main_path);
    free(site->master_path);
    free(site->dir);
    free(site);
}
