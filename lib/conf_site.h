/*
 * The parts of the file that become the snapshot: addresses, pools, streams,
 * providers.
 *
 * Each function fills the snapshot of reader->conf from its setting and turns
 * mistakes into problems; what is wrong is left out, so that the parts behind
 * it can be checked in the same run.  To be called in this order.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LIB_CONF_SITE_H
#define LIB_CONF_SITE_H

#include "lib/conf_key.h"

struct match;
struct snapshot;
struct stream;

extern const struct conf_key conf_address_keys[];
extern const struct conf_key conf_pool_keys[];
extern const struct conf_key conf_member_keys[]; /* an address in a pool */
extern const struct conf_key conf_stream_keys[];
extern const struct conf_key conf_match_keys[];
extern const struct conf_key conf_provider_keys[];
extern const struct conf_key conf_dns_keys[];   /* members of struct conf */
extern const struct conf_key conf_store_keys[]; /* likewise */
extern const struct conf_key conf_suspension_keys[];
extern const struct conf_key conf_figures_keys[];
extern const struct conf_key conf_warmup_keys[];         /* likewise */
extern const struct conf_key conf_hint_keys[];           /* likewise */
extern const struct conf_key conf_schedule_keys[];       /* one of warmup.schedules */
extern const struct conf_key conf_address_warmup_keys[]; /* members of struct address */
extern const struct conf_key conf_complaints_keys[];
extern const struct conf_key conf_standing_keys[]; /* members of struct conf */
extern const struct conf_key conf_grades_keys[];   /* a part of conf_stream_keys */
extern const struct conf_key conf_limits_keys[];   /* likewise */

/* Of a stream, the pools of accounts by their grade: names, "" or NULL for none. */
struct conf_grades {
    char *pools[GRADES];
};

void conf_read_addresses(struct conf_reader *reader, config_setting_t *setting);
void conf_read_pools(struct conf_reader *reader, config_setting_t *setting);
void conf_read_streams(struct conf_reader *reader, config_setting_t *setting);
void conf_read_bypass(struct conf_reader *reader, config_setting_t *setting);

/* setting may be NULL: "other" is always there.  Depends on none of the parts above. */
void conf_read_providers(struct conf_reader *reader, config_setting_t *setting);

/* Make conf.dns_servers of conf.dns_server_text, which the group "dns" gave. */
void conf_read_dns(struct conf_reader *reader, config_setting_t *servers);

/* Groups of conditions.  *ret_matches is the caller's, see matches_free(). */
void conf_read_matches(struct conf_reader *reader, config_setting_t *setting,
                       struct match **ret_matches, size_t *ret_count);

/* The milter keeps only headers that somebody asks for: this one, those of matches. */
void conf_note_header(struct snapshot *snapshot, const char *name);
void conf_note_headers(struct snapshot *snapshot, const struct match *matches, size_t count);

/* Make stream.hours of the text, and stream.zone by stream.zone_name; item is the stream's. */
void conf_read_hours(struct conf_reader *reader, config_setting_t *item, const char *text,
                     struct stream *stream);

/* Make the steps of conf.suspension of their texts. */
void conf_check_suspension(struct conf_reader *reader, config_setting_t *steps);

/* The group "warmup", and then, when the addresses are known, theirs; both may be NULL. */
void conf_read_warmup(struct conf_reader *reader, config_setting_t *warmup);
void conf_check_warmup(struct conf_reader *reader, config_setting_t *addresses);

/* The group "warmup.hint", which may be NULL; and warnings, when it is there and streams are. */
void conf_read_hint(struct conf_reader *reader, config_setting_t *hint);
void conf_warn_hint(struct conf_reader *reader, config_setting_t *hint);

/* Where the figures are, beside the store's file or in one of their own; path may be NULL. */
void conf_check_figures(struct conf_reader *reader, config_setting_t *path);

/* Taking one of these away would change what a message says, and to whom. */
bool conf_is_of_the_message(const char *header);

/* Are the addresses some, is the header of marks free?  complaints may be NULL. */
void conf_check_complaints(struct conf_reader *reader, config_setting_t *complaints);

/* Give the stream its pools of grades, and the limits that it does not have from "standing". */
void conf_check_grades(struct conf_reader *reader, config_setting_t *item,
                       const struct conf_grades *grades, struct stream *stream);

/* When all streams are known: can accounts be graded?  standing may be NULL. */
void conf_check_standing(struct conf_reader *reader, config_setting_t *standing);

/* Does the group "store", NULL: there is none, say where a Redis is that it needs? */
void conf_check_store(struct conf_reader *reader, config_setting_t *store);

/* Warn of addresses in no pool, of pools that nothing leads to, and of IPv6. */
void conf_warn_pools(struct conf_reader *reader, config_setting_t *addresses,
                     config_setting_t *pools);

/* Is text lower-case letters, digits and "-", at most max long, starting with a letter? */
bool conf_is_name(const char *text, size_t max);

#endif
