#include "runtime.h"

#include <stdlib.h>
#include <string.h>

static dw_actor *pop(dw_scheduler *scheduler) {
  pthread_mutex_lock(&scheduler->lock);
  while (!scheduler->first && !scheduler->stopping) pthread_cond_wait(&scheduler->wake, &scheduler->lock);
  dw_actor *actor = scheduler->first;
  if (actor) {
    scheduler->first = actor->next_ready;
    if (!scheduler->first) scheduler->last = NULL;
    actor->next_ready = NULL;
  }
  pthread_mutex_unlock(&scheduler->lock);
  return actor;
}

void dw_scheduler_push(dw_scheduler *scheduler, dw_actor *actor) {
  pthread_mutex_lock(&scheduler->lock);
  if (scheduler->last) scheduler->last->next_ready = actor;
  else scheduler->first = actor;
  scheduler->last = actor;
  pthread_cond_signal(&scheduler->wake);
  pthread_mutex_unlock(&scheduler->lock);
}

static void *work(void *argument) {
  dw_scheduler *scheduler = argument;
  for (dw_actor *actor; (actor = pop(scheduler));) dw_actor_turn(actor);
  return NULL;
}

dw_status dw_scheduler_start(dw_scheduler *scheduler, uint32_t threads, dw_error *error) {
  pthread_mutex_init(&scheduler->lock, NULL);
  pthread_cond_init(&scheduler->wake, NULL);
  scheduler->threads = calloc(threads, sizeof *scheduler->threads);
  if (!scheduler->threads) return dw_fail(error, DW_NOMEM, "scheduler");
  for (; scheduler->thread_count < threads; scheduler->thread_count++) {
    int failed = pthread_create(&scheduler->threads[scheduler->thread_count], NULL, work, scheduler);
    if (failed) {
      dw_scheduler_stop(scheduler);
      return dw_fail_errno(error, failed, "starting a scheduler thread");
    }
  }
  return DW_OK;
}

void dw_scheduler_stop(dw_scheduler *scheduler) {
  pthread_mutex_lock(&scheduler->lock);
  scheduler->stopping = true;
  pthread_cond_broadcast(&scheduler->wake);
  pthread_mutex_unlock(&scheduler->lock);
  for (uint32_t i = 0; i < scheduler->thread_count; i++) pthread_join(scheduler->threads[i], NULL);
  free(scheduler->threads);
  pthread_mutex_destroy(&scheduler->lock);
  pthread_cond_destroy(&scheduler->wake);
  memset(scheduler, 0, sizeof *scheduler);
}
