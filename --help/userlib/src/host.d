/tmp/h-pv/main/--help/userlib/src/host.o: \
 /tmp/h-pv/main/userlib/src/host.c /tmp/h-pv/main/userlib/src/internal.h \
 /tmp/h-pv/main/userlib/include/libvhm.h \
 /tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h
/tmp/h-pv/main/userlib/src/internal.h:
/tmp/h-pv/main/userlib/include/libvhm.h:
/tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h:
