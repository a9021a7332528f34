/*
 * SPDX-License-Identifier: MIT
 */
#include "transport-maps/edit.h"

#include "lib/err.h"
#include "lib/mem.h"
#include "transport-maps/cf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MARK_BEGIN "# postpool: begin"
#define MARK_BEGIN_LINE \
    MARK_BEGIN " -- 'postpool transports remove' takes this out and puts back what was here\n"
#define MARK_END "# postpool: end"
#define MARK_KEPT "#|"
/* The file's last byte was no newline; one had to be added for the block to stand behind it. */
#define MARK_OPEN_END "#\\ no newline at the end of the file\n"

static bool
starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static size_t
line_length(const char *line)
{
    const char *newline = strchr(line, '\n');

    return newline != NULL ? (size_t)(newline - line) + 1 : strlen(line);
}

/* FNV-1a: not against malice, against forgetting. */
static uint32_t
sum(const char *text, size_t length)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)text[i]) * 16777619u;
    return hash;
}

static void
add_param(struct edit_file *file, char *name, char *value)
{
    file->params = mem_resize(file->params, file->param_count + 1, sizeof(file->params[0]));
    file->params[file->param_count++] = (struct edit_param){name, value};
}

/* What parsing keeps in mind from line to line. */
struct parser {
    struct edit_file file;
    struct buf plain;
    struct cf_line head; /* of the service that lines in plain belong to; end 0: none */
    bool open_end;       /* the newline that plain ends in may be one of ours */
};

/* A line of the site's own. */
static void
parse_plain_line(struct parser *parser, const char *line, size_t length)
{
    if (*line != '#' && !is_blank(*line) && *line != '\n')
        parser->head = (struct cf_line){parser->plain.length, parser->plain.length + length};
    buf_add(&parser->plain, line, length);
    parser->open_end = false;
}

/* Our own lines in a block of main.cf. */
static void
parse_params(struct parser *parser, const char *body)
{
    struct cf_line line;
    size_t position = 0;

    while (cf_next(body, &position, &line)) {
        char *joined = cf_join(body, &line);
        char *name = NULL;
        char *value = cf_parameter(joined, &name);

        if (value != NULL)
            add_param(&parser->file, name, value);
        free(joined);
    }
}

/* Our own lines in a block of master.cf that continues a service. */
static void
parse_extra(struct parser *parser, struct buf *body)
{
    struct edit_file *file = &parser->file;
    char *joined = cf_join(buf_text(&parser->plain), &parser->head);
    const char *rest = joined;
    char *service = cf_word(&rest, false);
    char *type = cf_word(&rest, false);

    file->extras = mem_resize(file->extras, file->extra_count + 1, sizeof(file->extras[0]));
    file->extras[file->extra_count++] = (struct edit_extra){
        .service = service != NULL ? service : mem_strdup(""),
        .type = type != NULL ? type : mem_strdup(""),
        .lines = buf_take(body),
    };
    free(joined);
}

static void
anchor_here(struct parser *parser)
{
    if (!parser->file.anchored)
        parser->file.anchor = parser->plain.length;
    parser->file.anchored = true;
}

/* The inside of one block: text up to end. */
static void
parse_block(struct parser *parser, const char *text, const char *end, bool master)
{
    struct buf body = {0};
    bool replaces = false;
    bool open_end = false;

    while (text < end) {
        size_t length = line_length(text);

        if (starts_with(text, MARK_KEPT)) {
            const char *kept = text + strlen(MARK_KEPT);

            /* An editor that trims lines leaves "#|" for an empty one. */
            if (*kept == ' ')
                kept++;
            buf_add(&parser->plain, kept, length - (size_t)(kept - text));
            replaces = true;
        } else if (starts_with(text, MARK_OPEN_END)) {
            open_end = true;
        } else if (*text != '#') {
            buf_add(&body, text, length);
        }
        text += length;
    }
    if (!master) {
        parse_params(parser, buf_text(&body));
        if (!replaces)
            anchor_here(parser);
    } else if (body.length > 0 && is_blank(*body.data)) {
        parse_extra(parser, &body);
    } else {
        struct buf services = {0};

        anchor_here(parser);
        buf_puts(&services, parser->file.services != NULL ? parser->file.services : "");
        buf_puts(&services, buf_text(&body));
        free(parser->file.services);
        parser->file.services = buf_take(&services);
    }
    parser->open_end |= open_end;
    buf_clear(&body);
}

/* Is the sum behind the end mark the one of [text, end)? */
static bool
sum_matches(const char *text, const char *end)
{
    const char *digits = end + strlen(MARK_END);

    return strtoul(digits, NULL, 16) == sum(text, (size_t)(end - text));
}

/* Find the end mark of a block; NULL when there is none before the next begin. */
static const char *
block_end(const char *text)
{
    for (; *text != '\0'; text += line_length(text)) {
        if (starts_with(text, MARK_END))
            return text;
        if (starts_with(text, MARK_BEGIN))
            return NULL;
    }
    return NULL;
}

static int
parse_lines(struct parser *parser, const char *text, bool master, struct err *err)
{
    size_t number = 1;

    while (*text != '\0') {
        size_t length = line_length(text);

        if (starts_with(text, MARK_BEGIN)) {
            const char *inside = text + length;
            const char *end = block_end(inside);

            if (end == NULL)
                return err_set(err, -EINVAL,
                               "line %zu: the block that begins here has no '" MARK_END
                               "' line; put one behind its last line",
                               number);
            parse_block(parser, inside, end, master);
            if (!sum_matches(inside, end) && parser->file.edited_line == 0)
                parser->file.edited_line = number;
            parser->file.blocks++;
            length = (size_t)(end - text) + line_length(end);
        } else if (starts_with(text, MARK_END)) {
            return err_set(err, -EINVAL,
                           "line %zu: '" MARK_END "' without a '" MARK_BEGIN "' line; take it out",
                           number);
        } else {
            parse_plain_line(parser, text, length);
        }
        for (size_t i = 0; i < length; i++)
            number += text[i] == '\n';
        text += length;
    }
    return 0;
}

static int
parse(const char *text, bool master, struct edit_file *ret_file, struct err *err)
{
    struct parser parser = {0};
    struct edit_file *file = &parser.file;
    int r = parse_lines(&parser, text, master, err);

    if (parser.open_end && parser.plain.length > 0 &&
        parser.plain.data[parser.plain.length - 1] == '\n')
        parser.plain.data[--parser.plain.length] = '\0';
    if (file->anchor > parser.plain.length)
        file->anchor = parser.plain.length;
    if (file->services == NULL)
        file->services = mem_strdup("");
    file->plain = buf_take(&parser.plain);
    if (r < 0)
        edit_file_clear(file);
    else
        *ret_file = *file;
    return r;
}

int
edit_parse_main(const char *text, struct edit_file *ret_file, struct err *err)
{
    return parse(text, false, ret_file, err);
}

int
edit_parse_master(const char *text, struct edit_file *ret_file, struct err *err)
{
    return parse(text, true, ret_file, err);
}

void
edit_file_clear(struct edit_file *file)
{
    for (size_t i = 0; i < file->param_count; i++) {
        free(file->params[i].name);
        free(file->params[i].value);
    }
    for (size_t i = 0; i < file->extra_count; i++) {
        free(file->extras[i].service);
        free(file->extras[i].type);
        free(file->extras[i].lines);
    }
    free(file->params);
    free(file->extras);
    free(file->services);
    free(file->plain);
    *file = (struct edit_file){0};
}

const struct edit_param *
edit_find_param(const struct edit_param *params, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(params[i].name, name) == 0)
            return &params[i];
    }
    return NULL;
}

/* A piece of plain that a block takes the place of, or follows when it is empty. */
struct piece {
    size_t start, end;
    const char *lines; /* not ours; ends in a newline */
    char *owned;       /* lines, if they were made for this; else NULL */
};

struct pieces {
    struct piece *items;
    size_t count;
};

static void
add_piece(struct pieces *pieces, struct piece piece)
{
    pieces->items = mem_resize(pieces->items, pieces->count + 1, sizeof(pieces->items[0]));
    pieces->items[pieces->count++] = piece;
}

static int
compare_pieces(const void *a, const void *b)
{
    const struct piece *left = a;
    const struct piece *right = b;

    return (left->start > right->start) - (left->start < right->start);
}

/* The site's lines [start, end), kept behind marks. */
static void
print_kept(struct buf *out, const char *plain, size_t start, size_t end)
{
    while (start < end) {
        size_t length = line_length(plain + start);

        buf_puts(out, MARK_KEPT " ");
        buf_add(out, plain + start, length);
        start += length;
    }
}

/*
 * Print one block where out has just printed plain up to piece->start.  The
 * begin mark must start a line, so a newline is added where there is none.
 */
static void
print_block(struct buf *out, const char *plain, const struct piece *piece)
{
    struct buf inside = {0};
    bool open_end = out->length > 0 && out->data[out->length - 1] != '\n';

    if (open_end)
        buf_puts(out, "\n");
    print_kept(&inside, plain, piece->start, piece->end);
    if (inside.length > 0 && inside.data[inside.length - 1] != '\n') {
        buf_puts(&inside, "\n");
        open_end = true;
    }
    if (open_end)
        buf_puts(&inside, MARK_OPEN_END);
    buf_puts(&inside, piece->lines);
    buf_puts(out, MARK_BEGIN_LINE);
    buf_puts(out, buf_text(&inside));
    buf_printf(out, MARK_END " %08" PRIx32 "\n", sum(buf_text(&inside), inside.length));
    buf_clear(&inside);
}

/* Where the adding block stands: never inside a logical line of the site. */
static size_t
anchor_of(const struct edit_file *file)
{
    struct cf_line line;
    size_t position = 0;

    if (!file->anchored)
        return strlen(file->plain);
    while (cf_next(file->plain, &position, &line)) {
        if (line.end <= file->anchor)
            continue;
        /* A line that starts with a blank would continue ours. */
        if (line.start < file->anchor || is_blank(file->plain[line.start]))
            return line.end;
        break;
    }
    return file->anchor;
}

/* plain with the pieces; added is the text of the adding block. */
static char *
compose(const struct edit_file *file, struct pieces *pieces, const char *added)
{
    struct buf out = {0};
    size_t at = 0;
    size_t anchor = anchor_of(file);
    struct piece adding = {anchor, anchor, added, NULL};
    bool waiting = *added != '\0';

    if (pieces->count > 1)
        qsort(pieces->items, pieces->count, sizeof(pieces->items[0]), compare_pieces);
    for (size_t i = 0; i < pieces->count; i++) {
        struct piece *piece = &pieces->items[i];

        /* A block that continues the service right before the anchor comes first. */
        if (waiting && (anchor < piece->start || (anchor == piece->start && piece->end > anchor))) {
            buf_add(&out, file->plain + at, anchor - at);
            print_block(&out, file->plain, &adding);
            at = anchor;
            waiting = false;
        }
        buf_add(&out, file->plain + at, piece->start - at);
        print_block(&out, file->plain, piece);
        at = piece->end;
        free(piece->owned);
    }
    if (waiting) {
        buf_add(&out, file->plain + at, anchor - at);
        print_block(&out, file->plain, &adding);
        at = anchor;
    }
    buf_puts(&out, file->plain + at);
    free(pieces->items);
    return buf_take(&out);
}

char *
edit_main(const struct edit_file *file, const struct edit_param *params, size_t count)
{
    struct pieces pieces = {0};
    struct buf added = {0};
    struct cf_line *lines = mem_array(count, sizeof(lines[0])); /* end 0: not in the file */
    struct cf_line line;
    size_t position = 0;
    char *text;

    while (cf_next(file->plain, &position, &line)) {
        char *joined = cf_join(file->plain, &line);
        char *name = NULL;
        char *value = cf_parameter(joined, &name);
        const struct edit_param *param =
            value != NULL ? edit_find_param(params, count, name) : NULL;

        if (param != NULL)
            lines[param - params] = line;
        free(value);
        free(name);
        free(joined);
    }
    for (size_t i = 0; i < count; i++) {
        char *setting = mem_printf("%s = %s\n", params[i].name, params[i].value);

        if (lines[i].end != 0) {
            add_piece(&pieces, (struct piece){lines[i].start, lines[i].end, setting, setting});
        } else {
            buf_puts(&added, setting);
            free(setting);
        }
    }
    text = compose(file, &pieces, buf_text(&added));
    buf_clear(&added);
    free(lines);
    return text;
}

char *
edit_master(const struct edit_file *file, const struct edit_extra *extras, size_t count,
            const char *services)
{
    struct pieces pieces = {0};
    struct cf_services site;
    char *text;

    cf_services_parse(file->plain, &site);
    for (size_t i = 0; i < count; i++) {
        const struct cf_service *service =
            cf_services_find(&site, extras[i].service, extras[i].type);

        if (service != NULL)
            add_piece(&pieces,
                      (struct piece){service->line.end, service->line.end, extras[i].lines, NULL});
    }
    text = compose(file, &pieces, services);
    cf_services_clear(&site);
    return text;
}
