# What a board may lack, by what else may do it.
LC_ALL=C
export LC_ALL
if command -v sha256sum >/dev/null 2>&1; then sum_of() { sha256sum; }
elif command -v shasum >/dev/null 2>&1; then sum_of() { shasum -a 256; }
elif command -v busybox >/dev/null 2>&1 && busybox sha256sum </dev/null >/dev/null 2>&1; then sum_of() { busybox sha256sum; }
elif command -v openssl >/dev/null 2>&1; then sum_of() { openssl dgst -sha256 -r; }
else sum_of() { echo none; }
fi
size_of() { wc -c <"$1" | tr -d " "; }
