#!/bin/bash
# Runs inside a node: packs trees as OCI images and pushes them into a registry at /srv/registry.
# /run/share/work names them, one a line: NAMES COMMAND LAYER... (names joined by commas)
set -euo pipefail
shopt -s inherit_errexit
oci=/srv/oci
export XDG_RUNTIME_DIR=/run

serve() {
    mkdir -p /srv/registry
    cat >/run/registry.yml <<'CONFIG'
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: /srv/registry}}
http: {addr: 127.0.0.1:5000}
CONFIG
    docker-registry serve /run/registry.yml &
    for _ in $(seq 100); do
        ! (: </dev/tcp/127.0.0.1/5000) 2>/dev/null || return 0
        sleep 0.1
    done
    echo 'the registry does not answer' >&2
    return 1
}

# The image made of the first N layers, made once: images with a base in common share its layers.
image_of() {
    local tag below
    tag=$(printf '%s' "$*" | sha256sum | cut -c1-16)
    if ! umoci stat --image "$oci:$tag" >/dev/null 2>&1; then
        if [ $# = 1 ]; then
            umoci new --image "$oci:$tag"
        else
            below=$(image_of "${@:1:$#-1}")
            umoci tag --image "$oci:$below" "$tag"
        fi
        # `umoci insert` of Debian 13 changes modes while it reads, and the tree is mounted read-only.
        tar -C "/run/share/${!#}" --xattrs --numeric-owner --sort=name -cf "$oci/layer.tar" .
        umoci raw add-layer --image "$oci:$tag" "$oci/layer.tar"
        rm "$oci/layer.tar"
    fi
    echo "$tag"
}

push() { # NAMES COMMAND LAYER...
    local names=$1 command=$2 tag name
    tag=$(image_of "${@:3}")
    umoci config --image "$oci:$tag" --tag final --config.cmd "$command" --clear=config.entrypoint \
        --config.env PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin \
        --config.env LANG=C.UTF-8
    for name in ${names//,/ }; do
        skopeo --insecure-policy copy --quiet --dest-tls-verify=false \
            "oci:$oci:final" "docker://127.0.0.1:5000/${name#*/}"
    done
}

umoci init --layout "$oci"
serve
while read -r -a words; do
    push "${words[@]}" </dev/null
done </run/share/work
rm -rf "$oci"
kill %1
