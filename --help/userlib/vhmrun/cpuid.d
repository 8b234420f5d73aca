/tmp/h-pv/main/--help/userlib/vhmrun/cpuid.o: \
 /tmp/h-pv/main/userlib/vhmrun/cpuid.c \
 /tmp/h-pv/main/userlib/vhmrun/cpuid.h \
 /tmp/h-pv/main/userlib/include/libvhm.h \
 /tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h \
 /tmp/h-pv/main/userlib/vhmrun/options.h
/tmp/h-pv/main/userlib/vhmrun/cpuid.h:
/tmp/h-pv/main/userlib/include/libvhm.h:
/tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h:
/tmp/h-pv/main/userlib/vhmrun/options.h:
