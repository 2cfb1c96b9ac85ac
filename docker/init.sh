#!/bin/sh
# Brings database, pool, first login and model registry to where this version needs them. Safe to run at every start.
set -eu

airflow db migrate
airflow pools set gpu "${SR_GPU_SLOTS:-1}" "Devices that enlarge frames"

# An existing login is left as it is: whoever runs this changes the password in the page.
secrets=${SECRETS:-/run/secrets}
if [ -r "$secrets/admin_password" ]; then
    airflow users create --role Admin --username admin --firstname First --lastname Login --email admin@example.com \
        --password="$(cat "$secrets/admin_password")" # one word: a password may begin with a dash
fi

mkdir -p "$SR_STATE_DIR"

# A version of a model never changes: one that is there stays, one that is not appears whole. The routes are the
# operator's.
staged="$SR_MODELS_DIR/.staged"
for version in "$SR_REPO"/include/models/*/*/; do
    target="$SR_MODELS_DIR${version#"$SR_REPO/include/models"}"
    target="${target%/}"
    [ -e "$target" ] && continue
    rm -rf "$staged"
    cp -R "$version" "$staged"
    mkdir -p "$(dirname "$target")"
    mv -T "$staged" "$target"
done
if [ -e "$SR_REPO/include/models/routing.yaml" ] && [ ! -e "$SR_MODELS_DIR/routing.yaml" ]; then
    cp "$SR_REPO/include/models/routing.yaml" "$staged"
    mv -T "$staged" "$SR_MODELS_DIR/routing.yaml"
fi
