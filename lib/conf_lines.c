/*
 * SPDX-License-Identifier: MIT
 */
#include "lib/conf_lines.h"

#include "lib/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
add_line(struct conf *conf, const char *path, const char *value)
{
    conf->lines = mem_resize(conf->lines, conf->line_count + 1, sizeof(*conf->lines));
    conf->lines[conf->line_count++] = mem_printf("%s = %s", path, value);
}

static void
print_scalar(struct buf *out, const config_setting_t *setting)
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        buf_printf(out, "%lld", config_setting_get_int64(setting));
        break;
    case CONFIG_TYPE_FLOAT:
        buf_printf(out, "%g", config_setting_get_float(setting));
        break;
    case CONFIG_TYPE_BOOL:
        buf_puts(out, config_setting_get_bool(setting) ? "true" : "false");
        break;
    default:
        buf_printf(out, "\"%s\"", config_setting_get_string(setting));
    }
}

/* The name of a list's element: what its own "name" says, else its place. */
static const char *
element_name(const config_setting_t *element, char place[static 16])
{
    const char *name = NULL;

    if (config_setting_is_group(element) &&
        config_setting_lookup_string(element, "name", &name) == CONFIG_TRUE)
        return name;
    snprintf(place, 16, "%d", config_setting_index(element) + 1);
    return place;
}

static void
flatten(struct conf *conf, const config_setting_t *setting, const char *path)
{
    struct buf value = {0};
    int count = config_setting_length(setting);
    bool list = config_setting_is_list(setting) || config_setting_is_array(setting);

    if (!list && !config_setting_is_group(setting)) {
        print_scalar(&value, setting);
        add_line(conf, path, buf_text(&value));
        buf_clear(&value);
        return;
    }
    for (int i = 0; i < count; i++) {
        const config_setting_t *child = config_setting_get_elem(setting, (unsigned)i);
        char place[16];
        const char *name = list ? element_name(child, place) : config_setting_name(child);
        bool leaf = list && !config_setting_is_aggregate(child);

        if (i > 0)
            buf_puts(&value, ", ");
        if (leaf) {
            print_scalar(&value, child);
        } else {
            char *below = mem_printf("%s%s%s", path, path[0] != '\0' ? "." : "", name);

            buf_puts(&value, name);
            flatten(conf, child, below);
            free(below);
        }
    }
    if (list) { /* the order of a list is a setting of its own */
        char *text = mem_printf("( %s )", buf_text(&value));

        add_line(conf, path, text);
        free(text);
    }
    buf_clear(&value);
}

static int
compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void
conf_lines(const config_setting_t *root, struct conf *conf)
{
    flatten(conf, root, "");
    if (conf->line_count > 0)
        qsort(conf->lines, conf->line_count, sizeof(*conf->lines), compare_lines);
}
