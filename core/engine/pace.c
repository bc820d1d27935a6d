#include "core/engine/pace.h"

/* The weight of a new measurement of what reading costs. */
static const double NEWS = 0.25;

void pace_init(struct pace *pace)
{
    *pace = (struct pace){.n_measured = 0};
}

static int64_t median(const int64_t *values, int n)
{
    int64_t sorted[PACE_MEMORY];
    for (int i = 0; i < n; i++) {
        int at = i;
        for (; at > 0 && sorted[at - 1] > values[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = values[i];
    }
    return sorted[n / 2];
}

/* What is known may be of another time: speaking costs by the number of those who speak. */
static bool must_measure(const struct pace *pace, int n_speakers)
{
    return pace->n_measured == 0 || pace->n_since >= PACE_RECHECK ||
           n_speakers < pace->n_speakers / 2;
}

int pace_budget(const struct pace *pace, int n_speakers, int max)
{
    if (n_speakers == 0)
        return max;
    if (must_measure(pace, n_speakers))
        return 0;
    if (pace->read_ns <= 0)
        return max < PACE_MIN_TOKENS ? max : PACE_MIN_TOKENS;
    double room_ns = (double)median(pace->speak_ns, pace->n_measured) * (PACE_STRETCH - 2) / 2;
    double n = room_ns / pace->read_ns;
    if (n >= max)
        return max;
    int least = max < PACE_MIN_TOKENS ? max : PACE_MIN_TOKENS;
    return n < least ? least : (int)n;
}

static void learn_to_speak(struct pace *pace, int n_speakers, int64_t step_ns)
{
    if (n_speakers < pace->n_speakers / 2)
        pace->n_measured = 0;
    if (pace->n_measured < PACE_MEMORY)
        pace->n_measured++;
    for (int i = pace->n_measured - 1; i > 0; i--)
        pace->speak_ns[i] = pace->speak_ns[i - 1];
    pace->speak_ns[0] = step_ns;
    pace->n_speakers = n_speakers;
    pace->n_since = 0;
}

void pace_learn(struct pace *pace, int n_speakers, int n_read, int64_t step_ns)
{
    if (n_read == 0) {
        learn_to_speak(pace, n_speakers, step_ns);
        return;
    }
    int64_t speak_ns =
        n_speakers == 0 || pace->n_measured == 0 ? 0 : median(pace->speak_ns, pace->n_measured);
    double read_ns = (double)(step_ns - speak_ns) / n_read;
    if (read_ns < 1)
        read_ns = 1; /* it is lost in the noise */
    pace->read_ns += pace->read_ns <= 0 ? read_ns : NEWS * (read_ns - pace->read_ns);
    pace->n_since += n_speakers > 0;
}
