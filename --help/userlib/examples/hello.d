/tmp/lead/main/--help/userlib/examples/hello.o: \
 /tmp/lead/main/userlib/examples/hello.c \
 /tmp/lead/main/userlib/include/libvhm.h \
 /tmp/lead/main/userlib/../ioctl/uapi/linux/vhm.h
/tmp/lead/main/userlib/include/libvhm.h:
/tmp/lead/main/userlib/../ioctl/uapi/linux/vhm.h:
