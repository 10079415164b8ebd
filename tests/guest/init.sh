#!/bin/busybox sh
# shellcheck shell=dash
# The first process of the guest: its root is the host's, read-only, with a layer of memory above; then it runs
# the script that the kernel's command line names as modelfs.run, and powers off.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
read -r line </proc/cmdline
script=${line##*modelfs.run=}
script=${script%% *}
for module in virtio_pci 9pnet_virtio 9p overlay; do modprobe $module; done
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=524288,cache=loose host /low
mount -t tmpfs -o size=80% layer /layer
mkdir /layer/upper /layer/work
mount -t overlay -o lowerdir=/low,upperdir=/layer/upper,workdir=/layer/work overlay /root
for folder in proc sys dev; do mount --move /$folder /root/$folder; done
mkdir -p /root/dev/shm /root/dev/pts
mount -t tmpfs shm /root/dev/shm
mount -t devpts pts /root/dev/pts
mount -t tmpfs tmp /root/tmp
mount -t tmpfs run /root/run
mkdir /root/run/out
mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288 out /root/run/out
ip link set lo up
chroot /root /bin/sh "$script"
echo "guest: the script ended with $?"
sync
poweroff -f
