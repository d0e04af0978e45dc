# The worker as an image: `docker build -t permafrost .`, then
# `docker run --read-only --tmpfs /tmp -v permafrost:/data -e PERMAFROST_REDIS_URL=… permafrost`.
# Nothing in it needs a shell: commands are vectors, the health check is a program of Node's. A test runs the instructions
# of this file in a directory, and the worker in what they made; no container engine has built it yet.

FROM node:24-bookworm-slim AS base
WORKDIR /app
COPY package.json package-lock.json ./

# Install scripts are left out: they would only fetch a Node and compile what is there ready-made.
FROM base AS build
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM base AS dependencies
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-bookworm-slim
LABEL org.opencontainers.image.title="permafrost" \
      org.opencontainers.image.description="Archives records from a BullMQ queue for good" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/node:24-bookworm-slim"
ENV NODE_ENV=production \
    NODE_OPTIONS=--disable-warning=ExperimentalWarning \
    PERMAFROST_DATA_DIR=/data \
    PERMAFROST_HTTP_HOST=0.0.0.0 \
    PERMAFROST_HTTP_PORT=8410
WORKDIR /app
COPY package.json README.md LICENSE ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY config ./config
COPY web ./web
COPY tools/image ./
# Commands beside the worker: `docker exec <container> permafrost inspect`.
RUN chmod 0755 /app/dist/cli/main.js && ln -s /app/dist/cli/main.js /usr/local/bin/permafrost
# By number: a platform that refuses root can tell that this is another one.
RUN install -d -o 1000 -g 1000 -m 0750 /data
USER 1000:1000
VOLUME /data
EXPOSE 8410
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["node", "/app/healthcheck.mjs"]
ENTRYPOINT ["node", "/app/dist/cli/main.js"]
CMD ["worker"]
