#include "server/generation_meter.h"

#include "core/base/clock.h"
#include "core/engine/engine.h"
#include "server/metrics.h"

void generation_meter_begin(struct generation_meter *meter, struct metrics *metrics)
{
    *meter = (struct generation_meter){.metrics = metrics, .begun_ns = clock_now_ns()};
}

void generation_meter_submitted(struct generation_meter *meter)
{
    meter->submitted_ns = clock_now_ns();
}

void generation_meter_text(struct generation_meter *meter, int n_tokens)
{
    int64_t now_ns = clock_now_ns();
    if (meter->text_ns == 0)
        metrics_first_token(meter->metrics, now_ns - meter->begun_ns);
    else
        metrics_more_tokens(meter->metrics, n_tokens, now_ns - meter->text_ns);
    meter->text_ns = now_ns;
}

void generation_meter_left(struct generation_meter *meter)
{
    meter->is_left = meter->submitted_ns != 0 && meter->text_ns == 0;
    if (!meter->is_left)
        metrics_disconnect(meter->metrics,
                           meter->submitted_ns == 0 ? METRICS_WAITING : METRICS_ANSWER);
}

void generation_meter_end(const struct generation_meter *meter, enum generation_outcome outcome,
                          const struct engine_usage *usage)
{
    metrics_generation(meter->metrics, outcome);
    if (meter->is_left)
        metrics_disconnect(meter->metrics, usage == NULL ? METRICS_WAITING : METRICS_PROMPT);
    if (usage != NULL && usage->n_generated > 0)
        metrics_queue_wait(meter->metrics,
                           clock_now_ns() - meter->begun_ns - usage->prefill_ns - usage->decode_ns);
}
