/* page_data.h - the chat page as bytes; server/page/make.sh makes the file that defines them. */
#ifndef SERVER_PAGE_DATA_H
#define SERVER_PAGE_DATA_H

#include <stddef.h>

extern const unsigned char page_html[]; /* [page_html_len], UTF-8, no NUL */
extern const size_t page_html_len;
extern const char page_etag[];   /* of these bytes, with its quotes */
extern const char page_policy[]; /* a Content-Security-Policy that lets just its own script run */

#endif
