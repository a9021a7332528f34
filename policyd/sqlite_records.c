/*
 * Versions are times of the store, and ascend over all records, also over those
 * that were removed: who knows one of before is told that it is another now.
 *
 * SPDX-License-Identifier: MIT
 */
#include "policyd/sqlite_records.h"

#include "lib/log.h"
#include "lib/mem.h"
#include "policyd/record.h"
#include "policyd/sqlite_file.h"
#include "policyd/store.h"

#include <stdlib.h>
#include <string.h>

/* Only somebody else's hand makes those that are too large, or too many: they are left there. */
static bool
on_row(void *arg, const char *key, const struct record *record)
{
    struct sqlite_records *records = arg;
    struct record_put *put;

    records->count++;
    if (record->version > records->version)
        records->version = record->version;
    if (strlen(key) > STORE_RECORD_KEY_MAX || record->length > STORE_RECORD_MAX ||
        record->length == 0 || record->version == 0) {
        log_warn("store: the record %.100s is none of ours -- it is not used", key);
        return true;
    }
    if (records->all_count == STORE_RECORDS_MAX)
        return false;
    put = record_put_new(key, 0, NULL, 0);
    record_set(&put->there, record->version, record->bytes, record->length);
    records->all = mem_resize(records->all, records->all_count + 1, sizeof(*records->all));
    records->all[records->all_count++] = put;
    return true;
}

int
sqlite_records_load(struct sqlite_records *records, struct sqlite_file *file, struct err *err)
{
    records->counted = true;
    return sqlite_file_records(file, on_row, records, err);
}

void
sqlite_records_clear(struct sqlite_records *records)
{
    for (size_t i = 0; i < records->all_count; i++)
        record_put_free(records->all[i]);
    free(records->all);
    records->all = NULL;
    records->all_count = 0;
}

void
sqlite_records_tell(struct sqlite_records *records, const struct store *store)
{
    for (size_t i = 0; i < records->all_count; i++)
        store_tell_record(store, records->all[i]->key, &records->all[i]->there);
    sqlite_records_clear(records);
    store_tell_records(store);
}

int
sqlite_records_put(struct sqlite_records *records, struct sqlite_file *file, struct record_put *put,
                   int64_t now_ms, struct err *err)
{
    const struct record *wanted = &put->wanted;
    struct record *there = &put->there;
    int r = sqlite_file_record(file, put->key, there, err);

    put->written = put->full = false;
    if (r == 0 && !records->counted)
        r = sqlite_file_record_count(file, &records->count, err);
    if (r < 0)
        return r;
    records->counted = true;
    if (there->version != wanted->version)
        return 0;
    put->full = there->version == 0 && records->count >= STORE_RECORDS_MAX && wanted->length > 0;
    if (put->full)
        return 0;
    records->version =
        (uint64_t)now_ms > records->version ? (uint64_t)now_ms : records->version + 1;
    if (wanted->length > 0) {
        records->count += there->version == 0;
        record_set(there, records->version, wanted->bytes, wanted->length);
        r = sqlite_file_record_save(file, put->key, there, err);
    } else {
        records->count -= there->version != 0;
        record_clear(there);
        r = sqlite_file_record_remove(file, put->key, err);
    }
    put->written = r == 0;
    return r;
}

void
sqlite_records_undone(struct sqlite_records *records)
{
    records->counted = false;
}
