/tmp/lead/main/--help/userlib/src/walk.o: \
 /tmp/lead/main/userlib/src/walk.c /tmp/lead/main/userlib/src/internal.h \
 /tmp/lead/main/userlib/include/libvhm.h \
 /tmp/lead/main/userlib/../ioctl/uapi/linux/vhm.h
/tmp/lead/main/userlib/src/internal.h:
/tmp/lead/main/userlib/include/libvhm.h:
/tmp/lead/main/userlib/../ioctl/uapi/linux/vhm.h:
