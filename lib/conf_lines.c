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

/* Compare the paths of two lines, what stands before " = ". */
static int
compare_paths(const char *a, const char *b)
{
    size_t length_a = (size_t)(strstr(a, " = ") - a);
    size_t length_b = (size_t)(strstr(b, " = ") - b);
    int order = strncmp(a, b, length_a < length_b ? length_a : length_b);

    if (order != 0)
        return order;
    return length_a < length_b ? -1 : length_a > length_b;
}

/* May the value hold a password, or a key?  A list that has a name of its own has one for that. */
static bool
is_secret(const char *line)
{
    static const char url[] = "store.url = ", lists[] = "lists.", zone[] = ".zone = ";
    const char *end;

    if (strncmp(line, url, strlen(url)) == 0)
        return true;
    if (strncmp(line, lists, strlen(lists)) != 0)
        return false;
    end = strchr(line + strlen(lists), '.');
    return end != NULL && strncmp(end, zone, strlen(zone)) == 0 &&
           strspn(line + strlen(lists), "0123456789") != (size_t)(end - line) - strlen(lists);
}

/* sign: '+', '-', or '~' for a line that was another. */
static char *
tell(char sign, const char *line, const char *was)
{
    if (is_secret(line))
        return mem_printf("%c %.*s(not shown)", sign, (int)(strstr(line, " = ") + 3 - line), line);
    if (was == NULL)
        return mem_printf("%c %s", sign, line);
    return mem_printf("%c %s (was %s)", sign, line, strstr(was, " = ") + 3);
}

size_t
conf_diff(const struct conf *before, const struct conf *after,
          void (*changed)(void *arg, const char *line), void *arg)
{
    size_t i = 0, j = 0, count = 0;

    while (i < before->line_count || j < after->line_count) {
        const char *a = i < before->line_count ? before->lines[i] : NULL;
        const char *b = j < after->line_count ? after->lines[j] : NULL;
        int order = a == NULL ? 1 : b == NULL ? -1 : compare_paths(a, b);
        char *line = NULL;

        i += order <= 0;
        j += order >= 0;
        if (order < 0)
            line = tell('-', a, NULL);
        else if (order > 0)
            line = tell('+', b, NULL);
        else if (strcmp(a, b) != 0)
            line = tell('~', b, a);
        if (line == NULL)
            continue;
        changed(arg, line);
        free(line);
        count++;
    }
    return count;
}
