#!/bin/sh
# In the guest: an NFS server, three mounts of it that share no cache, and the tests of inside/.
# $MODELFS_GUEST is where the packages were unpacked, $MODELFS_REPOSITORY the checkout; both stand in /run/out/environment.
set -e
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
# shellcheck disable=SC1091 # written by guest.py
. /run/out/environment
root=$MODELFS_GUEST/root
export LD_LIBRARY_PATH="$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu"
mkdir -p /lib/modules /srv/export /var/lib/nfs/v4recovery /var/lib/nfs/rpc_pipefs /run/nfs
ln -sfn "$root/lib/modules/$(uname -r)" "/lib/modules/$(uname -r)"
for module in fuse nfsd nfsv4; do "$root/bin/busybox" modprobe $module; done
touch /var/lib/nfs/etab /var/lib/nfs/rmtab
mount -t tmpfs export /srv/export
mount -t nfsd nfsd /proc/fs/nfsd
mount -t rpc_pipefs sunrpc /var/lib/nfs/rpc_pipefs
echo '/srv/export 127.0.0.1(rw,no_root_squash,fsid=0,no_subtree_check,insecure)' >/etc/exports
"$root/usr/sbin/exportfs" -ra
echo 10 >/proc/fs/nfsd/nfsv4leasetime
echo 10 >/proc/fs/nfsd/nfsv4gracetime
"$root/usr/sbin/rpc.nfsd" --no-udp -N 3 -V 4 4
"$root/usr/sbin/rpc.mountd" -N 2 -N 3 --no-udp
for number in 0 1 2; do
  mkdir -p "/run/nfs/$number"
  "$root/sbin/mount.nfs" 127.0.0.1:/ "/run/nfs/$number" -o vers=4.2,proto=tcp,nosharecache
done
unset LD_LIBRARY_PATH
export MODELFS_REPLICAS_SIZE=33554432 # an emulated machine is slow
cd "$MODELFS_REPOSITORY"
"$MODELFS_PYTHON" -m pytest tests/guest/inside -q -p no:cacheprovider --color=no --tb=short -rs
cp "$MODELFS_BIN_DIR/../replicas.json" /run/out/
