#!/bin/sh
# Runs inside the busybox base image: one program, a link for each thing it can do, no bash.
set -eu
busybox=/usr/bin/busybox
$busybox mkdir -p /bin /dev /etc /proc /root /run /sys /tmp /usr/bin /usr/sbin /var
$busybox mkdir -p /workspace /shared /scratch /cvmfs
$busybox mv $busybox /bin/busybox
/bin/busybox --install -s /bin
/bin/busybox chmod 1777 /tmp
echo 'root:x:0:0:root:/root:/bin/sh' >/etc/passwd
echo 'root:x:0:' >/etc/group
/bin/busybox rm -rf /usr/share /dev/* /etc/resolv.conf /etc/hostname /etc/apt /etc/dpkg \
    /var/lib/apt /var/cache /var/lib/dpkg
