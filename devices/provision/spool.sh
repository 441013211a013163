#!/bin/sh
# Compresses what lies in SPOOL/in into one container SPOOL/out/TIME.rdz and moves the originals to
# SPOOL/done. What cannot be compressed goes to SPOOL/failed, so that it is in nobody's way; where
# nothing can be, such as without a codec, all stays as it is.
#
#   spool.sh BUNDLE.rdb SPOOL
#
# Write a file under a name that begins with a dot, or elsewhere on the same file system, and rename
# it: half-written files are not to be seen here. RDEDGE names the command (default: rdedge), PAUSE
# the seconds to wait before giving up, for whoever starts this again at once (default: 0).
set -eu
[ $# = 2 ] || {
    echo "usage: spool.sh BUNDLE.rdb SPOOL" >&2
    exit 2
}
bundle=$1 spool=$2
rdedge=${RDEDGE:-rdedge}
# More would not fit on a command line; the rest is for the next start.
most=1000

give_up() {
    echo "$1" >&2
    sleep "${PAUSE:-0}"
    exit 1
}
[ -r "$bundle" ] || give_up "cannot read the codec $bundle: put one there"
mkdir -p "$spool/out" "$spool/done" "$spool/failed"

set --
for file in "$spool"/in/*; do
    [ $# -lt $most ] || break
    [ ! -e "$file" ] || set -- "$@" "$file"
done
[ $# -gt 0 ] || exit 0
time=$(date -u +%Y%m%dT%H%M%S.%NZ)
put() {
    folder=$spool/$1/$time
    shift
    mkdir -p "$folder"
    mv -- "$@" "$folder/"
}
if "$rdedge" compress -b "$bundle" "$@" -o "$spool/out/$time.rdz"; then
    put 'done' "$@"
    exit 0
fi
rm -f "$spool/out/$time.rdz"
# Is it one of them, or the codec and this machine?
"$rdedge" check "$bundle" >&2 || give_up "the codec $bundle does not work here"
wrong=0 number=0
for file in "$@"; do
    number=$((number + 1))
    if "$rdedge" compress -b "$bundle" "$file" -o "$spool/out/$time-$number.rdz"; then
        put 'done' "$file"
    else
        rm -f "$spool/out/$time-$number.rdz"
        put failed "$file"
        wrong=$((wrong + 1))
    fi
done
[ $wrong = 0 ] || {
    echo "$wrong of $# could not be compressed: $spool/failed/$time" >&2
    exit 1
}
