#!/bin/sh
# Starts what it is given, with each file /run/secrets/SR_* as the setting of that name: so one that holds a password is
# in no environment that Docker shows.
set -eu

for file in "${SECRETS:-/run/secrets}"/SR_*; do
    if [ -s "$file" ]; then
        export "$(basename "$file")=$(cat "$file")"
    fi
done
exec "$@"
