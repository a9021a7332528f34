/*
 * SPDX-License-Identifier: MIT
 */
#include "policyd/place.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * "s=ID;i=NUMBER;..." is the entry NUMBER of the journal ID, both in hexadecimal
 * (sd_journal_get_cursor(3), systemd.journal-fields(7)).
 */
static bool
read_cursor(const char *cursor, char ret_id[33], uint64_t *ret_number)
{
    int n = 0;

    return sscanf(cursor, "s=%32[0-9a-f];i=%" SCNx64 "%n", ret_id, ret_number, &n) == 2 &&
           (cursor[n] == ';' || cursor[n] == '\0');
}

static bool
cursor_has_reached(const char *cursor, const char *reached)
{
    char id[33], reached_id[33];
    uint64_t number, reached_number;

    return read_cursor(cursor, id, &number) && read_cursor(reached, reached_id, &reached_number) &&
           strcmp(id, reached_id) == 0 && number >= reached_number;
}

static bool
feeder_has_reached(const struct place_feeder *feeder, const struct place_feeder *reached)
{
    return feeder->id == reached->id &&
           (feeder->batch > reached->batch ||
            (feeder->batch == reached->batch && feeder->told >= reached->told));
}

static bool
feeders_have_reached(const struct place *place, const struct place *reached)
{
    for (size_t i = 0; i < PLACE_FEEDERS && reached->feeders[i].id != 0; i++) {
        bool has = false;

        for (size_t j = 0; j < PLACE_FEEDERS; j++)
            has |= feeder_has_reached(&place->feeders[j], &reached->feeders[i]);
        if (!has)
            return false;
    }
    return true;
}

bool
place_has_reached(const struct place *place, const struct place *reached)
{
    if (place->kind != reached->kind)
        return false;
    switch (place->kind) {
    case PLACE_FILE:
        return place->file.inode == reached->file.inode &&
               place->file.offset >= reached->file.offset;
    case PLACE_JOURNAL:
        return cursor_has_reached(place->cursor, reached->cursor);
    case PLACE_PIPE:
        return feeders_have_reached(place, reached);
    case PLACE_NONE:
        break;
    }
    return true;
}

void
place_print(const struct place *place, char ret_text[PLACE_TEXT_SIZE])
{
    size_t length;

    ret_text[0] = '\0';
    switch (place->kind) {
    case PLACE_FILE:
        snprintf(ret_text, PLACE_TEXT_SIZE, "file %" PRIu64 " %" PRId64 " %" PRIx64,
                 place->file.inode, place->file.offset, place->file.mark);
        break;
    case PLACE_JOURNAL:
        snprintf(ret_text, PLACE_TEXT_SIZE, "journal %s", place->cursor);
        break;
    case PLACE_PIPE:
        snprintf(ret_text, PLACE_TEXT_SIZE, "pipe");
        for (size_t i = 0; i < PLACE_FEEDERS && place->feeders[i].id != 0; i++) {
            length = strlen(ret_text);
            snprintf(ret_text + length, PLACE_TEXT_SIZE - length,
                     " %" PRIx64 ":%" PRIu64 ":%" PRIu64, place->feeders[i].id,
                     place->feeders[i].batch, place->feeders[i].told);
        }
        break;
    case PLACE_NONE:
        break;
    }
}

static bool
parse_feeders(const char *text, struct place *place)
{
    for (size_t i = 0; *text != '\0'; i++) {
        int n = 0;

        if (i == PLACE_FEEDERS ||
            sscanf(text, " %" SCNx64 ":%" SCNu64 ":%" SCNu64 "%n", &place->feeders[i].id,
                   &place->feeders[i].batch, &place->feeders[i].told, &n) != 3 ||
            place->feeders[i].id == 0)
            return false;
        text += n;
    }
    return true;
}

bool
place_parse(const char *text, struct place *ret_place)
{
    struct place place = {0};
    int n = -1;

    if (strncmp(text, "journal ", 8) == 0) {
        place.kind = PLACE_JOURNAL;
        if (strlen(text + 8) >= sizeof(place.cursor) || text[8] == '\0')
            return false;
        strcpy(place.cursor, text + 8);
    } else if (strncmp(text, "pipe", 4) == 0) {
        place.kind = PLACE_PIPE;
        if (!parse_feeders(text + 4, &place))
            return false;
    } else if (text[0] != '\0') {
        place.kind = PLACE_FILE;
        if (sscanf(text, "file %" SCNu64 " %" SCNd64 " %" SCNx64 "%n", &place.file.inode,
                   &place.file.offset, &place.file.mark, &n) != 3 ||
            n < 0 || text[n] != '\0')
            return false;
    }
    *ret_place = place;
    return true;
}
