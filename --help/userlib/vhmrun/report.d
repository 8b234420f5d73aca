/tmp/lead/main/--help/userlib/vhmrun/report.o: \
 /tmp/lead/main/userlib/vhmrun/report.c \
 /tmp/lead/main/userlib/vhmrun/report.h \
 /tmp/lead/main/userlib/include/libvhm.h \
 /tmp/lead/main/userlib/../ioctl/uapi/linux/vhm.h \
 /tmp/lead/main/userlib/vhmrun/message.h
/tmp/lead/main/userlib/vhmrun/report.h:
/tmp/lead/main/userlib/include/libvhm.h:
/tmp/lead/main/userlib/../ioctl/uapi/linux/vhm.h:
/tmp/lead/main/userlib/vhmrun/message.h:
