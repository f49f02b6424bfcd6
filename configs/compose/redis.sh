#!/bin/sh
# `redis.sh` starts Redis, or Valkey, with the password of a file; `redis.sh ping` asks it whether
# it answers. The password reaches no command line: it goes by a file in memory, and to the client
# by its environment.
set -eu
umask 077
password=$(cat /run/secrets/redis_password)
if [ "${1:-}" = ping ]; then
    client=$(command -v redis-cli || command -v valkey-cli)
    [ "$(REDISCLI_AUTH=$password "$client" -p 6379 ping)" = PONG ]
    exit
fi
{ cat /etc/farm/redis.conf && printf 'requirepass "%s"\n' "$password"; } >/tmp/redis.conf
server=$(command -v redis-server || command -v valkey-server)
exec "$server" /tmp/redis.conf
