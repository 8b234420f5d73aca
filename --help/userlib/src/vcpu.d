/tmp/h-pv/main/--help/userlib/src/vcpu.o: \
 /tmp/h-pv/main/userlib/src/vcpu.c /tmp/h-pv/main/userlib/src/internal.h \
 /tmp/h-pv/main/userlib/include/libvhm.h \
 /tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h
/tmp/h-pv/main/userlib/src/internal.h:
/tmp/h-pv/main/userlib/include/libvhm.h:
/tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h:
