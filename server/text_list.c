#include "server/text_list.h"

#include <string.h>

#include "core/base/err.h"

static const char separators[] = ", ";

static int count(const char *text)
{
    int n = 0;
    for (text += strspn(text, separators); *text != '\0'; text += strspn(text, separators)) {
        text += strcspn(text, separators);
        n++;
    }
    return n;
}

bool text_list_read(struct text_list *list, const char *text, struct err *err)
{
    if (count(text) > TEXT_LIST_MAX || strlen(text) >= sizeof list->text)
        return err_set(err, ERR_INVALID, "it has more than %d parts or %d characters",
                       (int)TEXT_LIST_MAX, OPTIONS_MAX_TEXT - 1);
    memcpy(list->text, text, strlen(text) + 1);
    list->n = 0;
    char *rest = NULL;
    for (char *part = strtok_r(list->text, separators, &rest); part != NULL;
         part = strtok_r(NULL, separators, &rest))
        list->items[list->n++] = part;
    return true;
}
