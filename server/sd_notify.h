/* sd_notify.h - tells systemd how the service is doing (sd_notify(3)), without libsystemd.
 * Thread: any. */
#ifndef SERVER_SD_NOTIFY_H
#define SERVER_SD_NOTIFY_H

/* Sends `state` ("READY=1") to $NOTIFY_SOCKET; does nothing when there is none. */
void sd_notify_send(const char *state);

#endif
