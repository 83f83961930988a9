LC_ALL=C
export LC_ALL
say() { printf '%s\t%s\n' "$1" "$2"; }
say machine "$(uname -m)"
say bits "$(getconf LONG_BIT 2>/dev/null)"
say libc "$(getconf GNU_LIBC_VERSION 2>/dev/null || ldd --version 2>&1 | head -n 1)"
say cores "$(getconf _NPROCESSORS_ONLN 2>/dev/null)"
say model "$(tr -d '\000' 2>/dev/null </proc/device-tree/model)"
while read -r name value _; do
    case $name in
        MemTotal:) say memory "$value" ;;
        MemAvailable:) say available "$value" ;;
    esac
done </proc/meminfo
at=$1
while [ ! -d "$at" ]; do at=$(dirname "$at"); done
df -Pk "$at" | while read -r _ _ _ free _; do say free "$free"; done
if [ -w "$at" ]; then say writable yes; else say writable no; fi
for zone in /sys/class/thermal/thermal_zone*/temp; do
    [ -r "$zone" ] && say temperature "$(cat "$zone" 2>/dev/null)"
done
[ -r /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor ] &&
    say governor "$(cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor)"
for tool in cat date flock mkdir mv sha256sum sync timeout wc; do
    command -v "$tool" >/dev/null || say lacks "$tool"
done
say current "$(readlink "$1/current" 2>/dev/null)"
say previous "$(readlink "$1/previous" 2>/dev/null)"
for release in "$1"/releases/*; do
    [ -d "$release" ] && say release "${release##*/}"
done
[ -r "$1/trusted.pub" ] && say key "$(tail -n 1 "$1/trusted.pub")"
exit 0
