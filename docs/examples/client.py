"""A whole client of the wire contract in Python, version 1 (docs/PROTOCOL.md): puts a record and waits for its receipt,
or looks one up on every shard that may have it.

    python3 -m venv venv && venv/bin/pip install bullmq==3.4.4
    venv/bin/python client.py put order/17 < order.json
    venv/bin/python client.py get order/17

Redis and archive are taken from PERMAFROST_REDIS_URL and PERMAFROST_ARCHIVE.
"""

import asyncio
import base64
import hashlib
import json
import os
import secrets
import sys
import time
import zlib

from bullmq import Queue, Worker
from redis.asyncio import Redis

JOB_OPTIONS = {'attempts': 1, 'removeOnComplete': True}
UNKNOWN = ('unavailable', 'expired', 'corrupt')


class Archive:
    def __init__(self, url, archive):
        self.archive = archive
        # A name for people, and a random part: no two processes read from one reply queue.
        self.client = 'python-' + secrets.token_hex(6)
        self.reply_queue = '{%s-reply-%s}' % (archive, self.client)
        self.options = {'connection': url, 'prefix': 'permafrost'}
        self.redis = Redis.from_url(url)
        self.generations = []
        self.queues = {}
        self.waiting = {}
        self.parts = {}

    async def __aenter__(self):
        await self.beat()
        self.heart = asyncio.create_task(self.keep_beating())
        self.worker = Worker(self.reply_queue, self.take, self.options)
        return self

    async def __aexit__(self, *_):
        self.heart.cancel()
        await self.redis.delete('permafrost:%s:heartbeat' % self.reply_queue)
        await self.worker.close()
        replies = Queue(self.reply_queue, self.options)
        await replies.obliterate(force=True)
        for queue in [replies, *self.queues.values()]:
            await queue.close()
        await self.redis.aclose()

    async def put(self, key, value):
        """Resolves to the receipt when the record is on disk."""
        if not await self.read_topology():
            first = {'v': 1, 'generations': [{'shards': 1, 'time': int(time.time() * 1000)}]}
            await self.redis.set(self.topology_key(), json.dumps(first), nx=True)
            await self.read_topology()
        shard = shard_of(key, self.generations[-1])
        record = {'key': key, 'value': base64.b64encode(value).decode()}
        return await self.ask('put', shard, {'records': [record]})

    async def get(self, key):
        """The newest version of a key, or None; asks every shard that the key may be on."""
        results, asked = [], set()
        while True:
            await self.read_topology()
            homes = {shard_of(key, shards) for shards in self.generations or [1]} - asked
            if not homes:
                break
            for reply in await asyncio.gather(*(self.ask('lookup', shard, {'keys': [key]}) for shard in homes)):
                results += reply['results']
            asked |= homes
        for result in results:
            if result['outcome'] in UNKNOWN:
                raise RuntimeError('not known now: ' + result['outcome'])
        found = [result for result in results if result['outcome'] == 'found']
        return max(found, key=lambda result: (result['time'], result['put']), default=None)

    async def ask(self, name, shard, message):
        number = secrets.token_hex(8)
        answer = self.waiting[number] = asyncio.get_running_loop().create_future()
        job = {'v': 1, 'id': number, 'replyTo': self.client, **message}
        await self.queue('{%s-%d}-%s' % (self.archive, shard, name)).add(name, job, JOB_OPTIONS)
        return await asyncio.wait_for(answer, 30)

    async def take(self, job, _token):
        """What comes on the reply queue, at least once and in any order; what nobody waits for is dropped."""
        message = job.data
        for receipt in message.get('receipts', []):
            self.settle(receipt['id'], receipt)
        if 'results' in message:
            self.take_part(message)

    def take_part(self, reply):
        parts = self.parts.setdefault(reply['id'], {})
        parts[reply['part']] = reply
        last = [part for part, each in parts.items() if each['last']]
        if last and len(parts) == last[0] + 1:
            whole = [parts[part] for part in sorted(parts)]
            self.settle(reply['id'], {**reply, 'results': [result for each in whole for result in each['results']]})
            del self.parts[reply['id']]

    def settle(self, number, answer):
        future = self.waiting.pop(number, None)
        if future is None or future.done():
            return
        if 'error' in answer:
            future.set_exception(RuntimeError('%(code)s: %(message)s' % answer['error']))
        else:
            future.set_result(answer)

    async def read_topology(self):
        text = await self.redis.get(self.topology_key())
        known = [each['shards'] for each in json.loads(text)['generations']] if text else []
        # Redis may have lost the key: what was read once is never forgotten.
        if len(known) > len(self.generations):
            self.generations = known
        return self.generations

    def topology_key(self):
        return 'permafrost:{%s}:topology' % self.archive

    def queue(self, name):
        if name not in self.queues:
            self.queues[name] = Queue(name, self.options)
        return self.queues[name]

    async def beat(self):
        await self.redis.set('permafrost:%s:heartbeat' % self.reply_queue, 1, px=60000)

    async def keep_beating(self):
        while True:
            await asyncio.sleep(20)
            await self.beat()


def shard_of(key, shards):
    stored_key = hashlib.sha256(key.encode()).digest()
    return zlib.crc32(stored_key) * shards >> 32


async def main(action, key):
    url = os.environ.get('PERMAFROST_REDIS_URL', 'redis://127.0.0.1:6379')
    async with Archive(url, os.environ.get('PERMAFROST_ARCHIVE', 'main')) as archive:
        if action == 'put':
            print(json.dumps(await archive.put(key, sys.stdin.buffer.read())))
            return 0
        found = await archive.get(key)
        if found is None:
            return 1
        sys.stdout.buffer.write(base64.b64decode(found['value']))
        return 0


if __name__ == '__main__':
    if len(sys.argv) != 3 or sys.argv[1] not in ('put', 'get'):
        sys.exit('usage: client.py put|get <key>')
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2])))
