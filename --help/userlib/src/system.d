/tmp/h-pv/main/--help/userlib/src/system.o: \
 /tmp/h-pv/main/userlib/src/system.c \
 /tmp/h-pv/main/userlib/src/internal.h \
 /tmp/h-pv/main/userlib/include/libvhm.h \
 /tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h
/tmp/h-pv/main/userlib/src/internal.h:
/tmp/h-pv/main/userlib/include/libvhm.h:
/tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h:
