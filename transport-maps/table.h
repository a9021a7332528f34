/*
 * The lookup tables that Postfix gets, as text.
 *
 * All are of type regexp, which every Postfix has built in.  Pure.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TRANSPORT_MAPS_TABLE_H
#define TRANSPORT_MAPS_TABLE_H

struct buf;

enum table {
    TABLE_UNTAG,
    TABLE_LAST_SENDER,
    TABLE_LAST_RECIPIENT,
    TABLE_ONLY_IPV6,
    TABLE_REFUSED,
    TABLE_COUNT,
};

/* Their file names, in DIR/postpool. */
extern const char *const table_names[TABLE_COUNT];

/* How Postfix is told of a table, "regexp:DIR/postpool/NAME"; the caller owns it. */
char *table_map(const char *dir, enum table table);

/* From a tagged address to the same without the tag. */
char *table_untag(void);

/*
 * Answers to the last key that Postfix tries for an address, and to no other:
 * for senders "@domain" or what stands for the null sender (two parameters may
 * name it), for recipients the last parent domain.
 */
char *table_last_sender(const char *null_key, const char *null_relay_key);
char *table_last_recipient(void);

/*
 * For smtp_delivery_status_filter of a service that speaks IPv6 only: "this
 * domain has no IPv6 address" becomes a deferral.
 * Source: Postfix smtp(8), smtp_addr.c; dns_lookup.c for the texts.
 */
char *table_only_ipv6(void);

/*
 * Likewise: lets through what a server refused for good and nothing else, so
 * that policyd is asked about that alone.
 */
char *table_refused(void);

/* Add text to out with every byte outside [A-Za-z0-9.-] as %XX, for use in a map name. */
void table_encode(struct buf *out, const char *text);

#endif
