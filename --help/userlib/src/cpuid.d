/tmp/h-pv/main/--help/userlib/src/cpuid.o: \
 /tmp/h-pv/main/userlib/src/cpuid.c /tmp/h-pv/main/userlib/src/internal.h \
 /tmp/h-pv/main/userlib/include/libvhm.h \
 /tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h
/tmp/h-pv/main/userlib/src/internal.h:
/tmp/h-pv/main/userlib/include/libvhm.h:
/tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h:
