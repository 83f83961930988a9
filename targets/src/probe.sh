LC_ALL=C
export LC_ALL
say() { printf '%s\t%s\n' "$1" "$2"; }
has() { command -v "$1" >/dev/null 2>&1; }
machine=$(uname -m 2>/dev/null) || read -r machine </proc/sys/kernel/arch
say machine "$machine"
# Byte 4 of a program tells its width; getconf tells too, where there is one.
bits=$(getconf LONG_BIT 2>/dev/null)
if [ -z "$bits" ] && [ -r /proc/self/exe ]; then
    case $(dd if=/proc/self/exe bs=1 skip=4 count=1 2>/dev/null | od -An -tu1 2>/dev/null | tr -d " ") in
        1) bits=32 ;;
        2) bits=64 ;;
    esac
fi
say bits "$bits"
libc=$(getconf GNU_LIBC_VERSION 2>/dev/null)
case $libc in glibc*) ;; *) libc= ;; esac
for loader in /lib/ld-musl-*; do
    if [ -z "$libc" ] && [ -e "$loader" ] && [ ! -e /lib64 ] && [ ! -e /lib/ld-linux.so.3 ]; then libc=musl; fi
done
for library in /lib/*/libc.so.6 /lib64/libc.so.6 /lib/libc.so.6 /usr/lib/libc.so.6 /usr/lib64/libc.so.6; do
    # A library of another width does not start, and says nothing.
    if [ -z "$libc" ] && [ -r "$library" ]; then
        told=$("$library" 2>/dev/null </dev/null | head -n 1)
        case $told in *"version "[0-9]*) told=${told##*version }; libc="glibc ${told%%[!0-9.]*}" ;; esac
        libc=${libc%.}
    fi
done
if [ -z "$libc" ] && has ldd; then
    told=$(ldd --version 2>&1 | head -n 2)
    case $told in
        *musl*) libc=musl ;;
        *) told=${told%%
*}; case $told in *GLIBC*|*"GNU libc"*) libc="glibc ${told##* }" ;; esac ;;
    esac
fi
say libc "$libc"
cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || nproc 2>/dev/null || grep -c "^processor" /proc/cpuinfo 2>/dev/null)
say cores "$cores"
if [ -r /proc/device-tree/model ]; then
    say model "$(tr -d '\000' 2>/dev/null </proc/device-tree/model)"
else
    named=$(grep -m 1 "^model name" /proc/cpuinfo 2>/dev/null)
    say model "${named#*: }"
fi
[ -r /proc/meminfo ] && while read -r name value _; do
    case $name in
        MemTotal:) say memory "$value" ;;
        MemAvailable:) say available "$value" ;;
    esac
done </proc/meminfo
at=$1
while [ ! -d "$at" ]; do
    case $at in
        /*/*) at=${at%/*} ;;
        /*) at=/ ;;
        */*) at=${at%/*} ;;
        *) at=. ;;
    esac
done
df -Pk "$at" 2>/dev/null | {
    while read -r _ _ _ free _ place; do said=$free; point=$place; done
    say free "$said"
    # The last file system that is mounted there is the one that counts.
    [ -r /proc/mounts ] && while read -r _ where _ options _; do
        [ "$where" = "$point" ] && how=,$options,
    done </proc/mounts
    case $how in *,noexec,*) say noexec "$point" ;; esac
    case $how in *,ro,*) say readonly "$point" ;; esac
}
# Whoever may write a folder on the way could put something else in the place of what is flashed.
me=$(id -u 2>/dev/null)
folder=$(cd "$at" 2>/dev/null && pwd -P)
while [ -n "$me" ]; do
    ls -ldn "${folder:-/}" 2>/dev/null | while read -r mode _ owner _; do
        case $owner in 0 | "$me") ;; *) say stranger "${folder:-/} belongs to user $owner" ;; esac
        case $mode in d????w???[!tT]* | d???????w[!tT]*) say stranger "${folder:-/} may be written by others ($mode)" ;; esac
    done
    case $folder in / | "") break ;; esac
    folder=${folder%/*}
done
if [ -w "$at" ]; then say writable yes; else say writable no; fi
for zone in /sys/class/thermal/thermal_zone*/temp; do
    [ -r "$zone" ] && say temperature "$(cat "$zone" 2>/dev/null)"
done
[ -r /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor ] &&
    say governor "$(cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor)"
# A Raspberry Pi tells why it slows down: a file of its kernel, or its firmware when it is asked.
throttled=$(cat /sys/devices/platform/soc/soc:firmware/get_throttled 2>/dev/null || vcgencmd get_throttled 2>/dev/null)
say throttled "${throttled#throttled=}"
# Flash memory that is soldered tells in tenths how much of its life is over, of either kind of cell.
for disk in /sys/block/mmcblk*/device/life_time; do
    [ -r "$disk" ] && say worn "$(cat "$disk" 2>/dev/null)"
done
for tool in cat chmod mkdir mv rm tr wc; do
    has "$tool" || say lacks "$tool"
done
has sha256sum || has shasum || has openssl || busybox sha256sum </dev/null >/dev/null 2>&1 || say lacks sha256sum
say current "$(readlink "$1/current" 2>/dev/null)"
say previous "$(readlink "$1/previous" 2>/dev/null)"
for release in "$1"/releases/*; do
    [ -d "$release" ] && say release "${release##*/}"
done
[ -e "$1/unconfirmed.json" ] && say unconfirmed yes
[ -r "$1/trusted.pub" ] && while read -r line || [ -n "$line" ]; do [ -n "$line" ] && key=$line; done <"$1/trusted.pub" && say key "$key"
exit 0
