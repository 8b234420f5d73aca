/tmp/lead/main/--help/userlib/vhmrun/cpuid.o: \
 /tmp/lead/main/userlib/vhmrun/cpuid.c \
 /tmp/lead/main/userlib/vhmrun/cpuid.h \
 /tmp/lead/main/userlib/include/libvhm.h \
 /tmp/lead/main/userlib/../ioctl/uapi/linux/vhm.h \
 /tmp/lead/main/userlib/vhmrun/options.h
/tmp/lead/main/userlib/vhmrun/cpuid.h:
/tmp/lead/main/userlib/include/libvhm.h:
/tmp/lead/main/userlib/../ioctl/uapi/linux/vhm.h:
/tmp/lead/main/userlib/vhmrun/options.h:
