#!/bin/sh
# Installs rdedge on a device: a Jetson with JetPack 6 or 7, or any Linux host.
# docs/device.md takes you from a flashed board to the first packet.
set -eu
# ONNX Runtime of 1.29 and later reports on its use over the network, unless told not to.
export ORT_DISABLE_TELEMETRY=1

usage() {
    cat <<'END'
Usage: install.sh [OPTIONS] [WHEEL]

  WHEEL                 rdedge-VERSION-py3-none-PLATFORM.whl; what it needs comes from pip's index
  --offline DIR         take rdedge and all that it needs from the wheels in DIR, nothing else
  --prefix DIR          where to install (default: /opt/rdedge)
  --python PYTHON       which Python (default: python3)
  --system-packages     see the system's Python packages, as on a Jetson, where this is so by itself
  --no-service          no user, no folders, no systemd units: needs no root
  --spool NAME          make the spool /var/lib/rdedge/NAME and watch it; needs --bundle
  --bundle FILE         the codec of that spool, FILE.rdb; checked, then kept in /etc/rdedge
  --root DIR            take DIR for /: to look at what is installed, or to test
  --dry-run             say what would be done, and do nothing
  --help                this

Run it again to update: what is there is kept. Exit codes: 0 fine, 1 it failed, 2 wrong usage.
END
}

say() { printf 'rdedge: %s\n' "$*"; }
fail() {
    printf 'rdedge: %s\n' "$1" >&2
    [ -z "${2:-}" ] || printf 'rdedge: %s\n' "$2" >&2
    exit 1
}
misused() {
    printf 'rdedge: %s; try --help\n' "$1" >&2
    exit 2
}
# Runs a command, or says it.
run() {
    if [ "$dry" = yes ]; then
        printf '  %s\n' "$*"
    else
        "$@"
    fi
}

offline='' prefix=/opt/rdedge python=python3 service=yes spool='' bundle='' root='' dry=no wheel=''
system=no
while [ $# -gt 0 ]; do
    case $1 in
    --offline | --prefix | --python | --spool | --bundle | --root)
        [ $# -ge 2 ] && [ -n "$2" ] || misused "$1 needs a value"
        case $1 in
        --offline) offline=$2 ;;
        --prefix) prefix=$2 ;;
        --python) python=$2 ;;
        --spool) spool=$2 ;;
        --bundle) bundle=$2 ;;
        --root) root=${2%/} ;;
        esac
        shift
        ;;
    --no-service) service=no ;;
    --system-packages) system=yes ;;
    --dry-run) dry=yes ;;
    --help | -h)
        usage
        exit 0
        ;;
    -*) misused "no option is called $1" ;;
    *)
        [ -z "$wheel" ] || misused "two wheels are given, $wheel and $1"
        wheel=$1
        ;;
    esac
    shift
done
[ -n "$wheel$offline" ] || misused "give a WHEEL, or --offline DIR"
[ -z "$wheel" ] || [ -z "$offline" ] || misused "give either a WHEEL or --offline DIR"
case $prefix in
/*) ;;
*) misused "--prefix is not an absolute path: $prefix" ;;
esac
if [ -n "$spool$bundle" ]; then
    { [ -n "$spool" ] && [ -n "$bundle" ]; } || misused "--spool and --bundle go together"
    [ "$service" = yes ] || misused "--spool and --no-service exclude each other"
    case $spool in
    *[!a-z0-9_]* | [!a-z]*) misused "--spool is a name of a-z, 0-9 and _: $spool" ;;
    esac
    [ -r "$bundle" ] || fail "cannot read the bundle $bundle" "make one with rdedge export"
fi
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
venv=$root$prefix/venv

# What this machine is. A Jetson says it in /etc/nv_tegra_release: "# R36 (release), REVISION: 4.3".
release=''
if [ -r "$root/etc/nv_tegra_release" ]; then
    release=$(sed -n '1s/^# R\([0-9][0-9]*\) .*/\1/p' "$root/etc/nv_tegra_release")
    case $release in
    '') fail "/etc/nv_tegra_release says no release that I know" "flash JetPack 6 or 7" ;;
    36) say "JetPack 6 (Jetson Linux $release)" ;;
    3[89]) say "JetPack 7 (Jetson Linux $release)" ;;
    *)
        if [ "$release" -lt 36 ]; then
            fail "Jetson Linux $release is older than JetPack 6: its Python is too old (JetPack 5 has 3.8)" \
                "flash JetPack 6 or 7; Xavier modules have neither and cannot run rdedge"
        fi
        say "Jetson Linux $release: newer than any that rdedge knows"
        ;;
    esac
fi
command -v "$python" >/dev/null 2>&1 || fail "there is no $python" "install Python 3.10 to 3.13"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') ||
    fail "$python does not run"
"$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' ||
    fail "$python is Python $version; rdedge needs 3.10 to 3.13" \
        "on a Jetson flash JetPack 6 or 7; elsewhere name another with --python"
machine=$("$python" -c 'import platform; print(platform.machine())')
say "Python $version on $machine"

# The wheel of rdedge: the one that is given, or the one in the folder that fits this machine.
if [ -n "$offline" ]; then
    [ -d "$offline" ] || fail "there is no folder $offline" "see docs/device.md, Without a network"
    offline=$(CDPATH='' cd "$offline" && pwd)
    there=''
    for file in "$offline"/rdedge-*.whl; do
        [ -f "$file" ] || continue
        there="$there ${file##*/}"
        case $file in
        *"_$machine.whl") wheel=$file ;;
        *-none-any.whl) [ -n "$wheel" ] || wheel=$file ;;
        esac
    done
    if [ -z "$wheel" ] && [ -n "$there" ]; then
        fail "$offline holds rdedge only for other machines than $machine:$there" \
            "make the folder again with --platform for $machine (docs/device.md)"
    fi
    [ -n "$wheel" ] || fail "there is no rdedge-*.whl in $offline" "see docs/device.md"
else
    [ -f "$wheel" ] || fail "there is no file $wheel" "give the path of an rdedge-*.whl"
    case $wheel in
    *"_$machine.whl" | *-none-any.whl) ;;
    *) fail "${wheel##*/} is no wheel for $machine" "take the one for $machine, or build it" ;;
    esac
fi

# May we?
if [ "$service" = yes ] && [ -z "$root" ] && [ "$(id -u)" != 0 ] && [ "$dry" = no ]; then
    fail "installing the service needs root" "use sudo, or --no-service --prefix \$HOME/rdedge"
fi
parent=$root$prefix
while [ ! -e "$parent" ]; do
    parent=$(dirname "$parent")
done
[ -w "$parent" ] || [ "$dry" = yes ] ||
    fail "no permission to write in $parent" "use sudo, or another --prefix"

# The environment. On JetPack it sees the system's packages: TensorRT comes from there, and so does
# NVIDIA's onnxruntime-gpu, if it is there.
set --
[ -z "$release" ] && [ $system = no ] || set -- --system-site-packages
if [ ! -x "$venv/bin/python" ]; then
    say "making $venv"
    run mkdir -p "$root$prefix"
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        run "$python" -m venv "$@" "$venv"
    else
        # Ubuntu keeps ensurepip in python3-venv, which a board without a network lacks: then pip
        # comes from the wheel folder, run from inside its own wheel.
        pip=''
        for file in "${offline:-/nowhere}"/pip-*.whl; do
            [ ! -f "$file" ] || pip=$file
        done
        "$python" -c 'import venv' 2>/dev/null && [ -n "$pip" ] ||
            fail "$python cannot make environments" \
                "apt install python$version-venv, or put pip's own wheel into the folder of --offline"
        run "$python" -m venv --without-pip "$@" "$venv"
        run "$venv/bin/python" "$pip/pip" install --quiet --no-index --find-links "$offline" pip
    fi
fi
install_() {
    if [ -n "$offline" ]; then
        run "$venv/bin/python" -m pip install --disable-pip-version-check --quiet \
            --no-index --find-links "$offline" "$@"
    else
        run "$venv/bin/python" -m pip install --disable-pip-version-check --quiet "$@"
    fi
}
say "installing ${wheel##*/}"
install_ "$wheel" || fail "pip could not install it" \
    "a wheel may be missing for Python $version on $machine: see docs/device.md"
# The same version may have other contents.
install_ --force-reinstall --no-deps "$wheel"

# ONNX Runtime: never over one that is there, for it would hide NVIDIA's build with the GPU.
probe=$venv/bin/python
[ -x "$probe" ] || probe=$python
if "$probe" -c 'import onnxruntime' 2>/dev/null; then
    say "onnxruntime is there already and stays as it is"
else
    gpu=''
    for file in "${offline:-/nowhere}"/onnxruntime_gpu-*.whl; do
        [ ! -f "$file" ] || gpu=$file
    done
    if [ -n "$gpu" ]; then
        say "installing ${gpu##*/}"
        install_ "$gpu" || fail "pip could not install ${gpu##*/}" \
            "it may be for another Python than $version or another machine than $machine"
    else
        [ -z "$release" ] ||
            say "no onnxruntime_gpu-*.whl is at hand: ONNX Runtime will run on the processor alone"
        install_ onnxruntime || fail "pip could not install onnxruntime" \
            "put its wheel for Python $version on $machine into the folder (docs/device.md)"
    fi
fi

if [ "$service" = yes ]; then
    say "user, folders and units"
    if [ -z "$root" ]; then
        id rdedge >/dev/null 2>&1 || run useradd --system --user-group --no-create-home \
            --home-dir /var/lib/rdedge --shell /usr/sbin/nologin rdedge
        # The owners of the GPU's device files; not every machine has both.
        for group in video render; do
            ! getent group $group >/dev/null || run usermod --append --groups $group rdedge
        done
    fi
    run install -d -m 755 "$root/etc/rdedge" "$root/usr/local/bin" "$root/etc/systemd/system"
    run install -d -m 755 "$root/etc/tmpfiles.d" "$root$prefix/provision"
    run install -d -m 755 "$root/var/lib/rdedge"
    run ln -sfn "$prefix/venv/bin/rdedge" "$root/usr/local/bin/rdedge"
    run install -m 755 "$here/spool.sh" "$root$prefix/provision/spool.sh"
    run install -m 644 "$here/rdedge.conf" "$root/etc/tmpfiles.d/rdedge.conf"
    for unit in rdedge-compress@.service rdedge-compress@.path; do
        if [ "$dry" = yes ]; then
            printf '  %s\n' "install $unit for $prefix in $root/etc/systemd/system"
        else
            sed "s|/opt/rdedge|$prefix|g" "$here/$unit" >"$root/etc/systemd/system/$unit.new"
            chmod 644 "$root/etc/systemd/system/$unit.new"
            mv "$root/etc/systemd/system/$unit.new" "$root/etc/systemd/system/$unit"
        fi
    done
    if [ -n "$spool" ]; then
        say "checking ${bundle##*/}"
        kept=$root/etc/rdedge/$spool.rdb
        run install -m 644 "$bundle" "$kept.new"
        # As the service does it: the engines that are built on the way are its own.
        set --
        if [ -z "$root" ]; then
            run install -d -o rdedge -g rdedge -m 700 /var/cache/rdedge
            set -- runuser -u rdedge -- env RDEDGE_CACHE=/var/cache/rdedge
        fi
        run "$@" "$venv/bin/rdedge" check "$kept.new" || {
            rm -f "$kept.new"
            fail "this machine does not do with ${bundle##*/} what the host did" \
                "run $prefix/venv/bin/rdedge doctor"
        }
        run mv "$kept.new" "$kept"
        if [ -z "$root" ]; then
            # Whoever may write samples is in the group rdedge.
            run install -d -o rdedge -g rdedge -m 750 "/var/lib/rdedge/$spool"
            run install -d -o rdedge -g rdedge -m 2770 "/var/lib/rdedge/$spool/in"
        else
            run install -d -m 750 "$root/var/lib/rdedge/$spool"
            run install -d -m 2770 "$root/var/lib/rdedge/$spool/in"
        fi
    fi
    if [ -z "$root" ] && command -v systemctl >/dev/null 2>&1 && [ -d /run/systemd/system ]; then
        run systemctl daemon-reload
        [ -z "$spool" ] || run systemctl enable --now "rdedge-compress@$spool.path"
    elif [ -n "$spool" ]; then
        say "systemd does not run here: later, systemctl enable --now rdedge-compress@$spool.path"
    fi
fi
run "$venv/bin/rdedge" doctor
say "done: $prefix/venv/bin/rdedge"
