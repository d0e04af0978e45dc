#!/bin/sh
# Looks at an archive with redis-cli alone, and takes an answer from a reply list, as a program without a BullMQ worker does.
#
#   look.sh                     topology, and for each shard: newest checkpoint, backlog, whether its worker lives
#   look.sh take <list>         waits for the next message on permafrost:{<archive>-reply-<list>}:list, and prints it
#
# Redis and archive are taken from PERMAFROST_REDIS_URL and PERMAFROST_ARCHIVE.
set -eu
archive=${PERMAFROST_ARCHIVE:-main}

redis() {
  redis-cli -u "${PERMAFROST_REDIS_URL:-redis://127.0.0.1:6379}" "$@"
}

if [ "${1:-}" = take ]; then
  # The name of the list, then the message.
  redis BLPOP "permafrost:{$archive-reply-$2}:list" 30 | tail -n 1
  exit
fi

topology=$(redis GET "permafrost:{$archive}:topology")
echo "topology: ${topology:-one shard}"
# Shards of the generations; there are as many as the largest of them has.
shards=$(printf '%s' "$topology" | grep -o '"shards":[0-9]*' | cut -d: -f2 | sort -n | tail -n 1)
shard=0
while [ "$shard" -lt "${shards:-1}" ]; do
  name="permafrost:{$archive-$shard}"
  set -- $(redis HMGET "$name:checkpoint" epoch records time)
  echo "shard $shard: epoch ${1:-none}, ${2:-0} records at the checkpoint"
  echo "  $(redis LLEN "$name-put:wait") put jobs wait, $(redis LLEN "$name-lookup:wait") lookups"
  echo "  worker: $(redis EXISTS "$name:lease" | sed 's/1/alive/; s/0/none/')"
  shard=$((shard + 1))
done
